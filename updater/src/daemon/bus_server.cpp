#include "bus_server.hpp"

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <systemd/sd-bus.h>

#include <list>

#include "base/error.hpp"
#include "base/log.hpp"
#include "base/unique_fd.hpp"
#include "updater/bus_names.hpp"

namespace updater {

namespace {

constexpr std::size_t max_peers = 64;
constexpr const char* error_prefix = "org.atoll.Updater1.Error.";

void check_bus(int result, const char* what) {
    if (result < 0)
        throw base::Error(-result, what);
}

struct BusUnref {
    void operator()(sd_bus* bus) const noexcept { sd_bus_close_unref(bus); }
    void operator()(sd_bus_message* message) const noexcept { sd_bus_message_unref(message); }
    void operator()(sd_bus_creds* creds) const noexcept { sd_bus_creds_unref(creds); }
};
using BusOwner = std::unique_ptr<sd_bus, BusUnref>;
using MessageOwner = std::unique_ptr<sd_bus_message, BusUnref>;

class Reply final : public BusReply {
public:
    explicit Reply(sd_bus_message* call) : call_(sd_bus_message_ref(call)) {}
    ~Reply() override {
        if (call_)
            error("updaterd dropped the request", "Failed");
    }
    Reply(const Reply&) = delete;
    Reply& operator=(const Reply&) = delete;

    // The client may be gone: what it does not hear is in the log and the history.
    void ok(const std::string& text) override {
        if (const MessageOwner call = std::move(call_))
            sd_bus_reply_method_return(call.get(), "s", text.c_str());
    }
    void error(const std::string& message, const char* name) override {
        if (const MessageOwner call = std::move(call_))
            sd_bus_reply_method_errorf(call.get(), (std::string(error_prefix) + name).c_str(), "%s", message.c_str());
    }

private:
    MessageOwner call_;
};

bool is_root(sd_bus_message* message) {
    sd_bus_creds* raw = nullptr;
    if (sd_bus_query_sender_creds(message, SD_BUS_CREDS_EUID, &raw) < 0)
        return false;
    const std::unique_ptr<sd_bus_creds, BusUnref> creds(raw);
    uid_t uid = 0;
    return sd_bus_creds_get_euid(creds.get(), &uid) >= 0 && uid == 0;
}

constexpr std::size_t max_list = 64;

std::vector<std::string> read_strings(sd_bus_message* message, const char* name) {
    std::vector<std::string> list;
    check_bus(sd_bus_message_enter_container(message, 'a', "s"), name);
    const char* item = nullptr;
    while (sd_bus_message_read(message, "s", &item) > 0) {
        list.emplace_back(item);
        if (list.size() > max_list)
            throw BusError(error_invalid, fmt::format("{}: more than {} entries", name, max_list));
    }
    check_bus(sd_bus_message_exit_container(message), name);
    return list;
}

/// One value of the a{sv}: b, t or as.
void read_option(sd_bus_message* message, const std::string& name, BusCall& call) {
    const char* content = nullptr;
    char type = 0;
    check_bus(sd_bus_message_peek_type(message, &type, &content), name.c_str());
    const std::string_view signature = type == 'v' && content != nullptr ? content : "";
    if (signature == "b") {
        int value = 0;
        check_bus(sd_bus_message_read(message, "v", "b", &value), name.c_str());
        call.options[name] = value != 0;
    } else if (signature == "t") {
        check_bus(sd_bus_message_read(message, "v", "t", &call.numbers[name]), name.c_str());
    } else if (signature == "as") {
        check_bus(sd_bus_message_enter_container(message, 'v', "as"), name.c_str());
        call.lists[name] = read_strings(message, name.c_str());
        check_bus(sd_bus_message_exit_container(message), name.c_str());
    } else {
        throw BusError(error_invalid, fmt::format("option {}: expected a value of type b, t or as", name));
    }
}

/// Strings, and at the end perhaps an a{sv}: what our methods take.
void read_arguments(sd_bus_message* message, BusCall& call) {
    const char* content = nullptr;
    char type = 0;
    while (sd_bus_message_peek_type(message, &type, &content) > 0) {
        if (type == 's') {
            const char* text = nullptr;
            check_bus(sd_bus_message_read(message, "s", &text), "argument");
            call.arguments.emplace_back(text);
            continue;
        }
        check_bus(sd_bus_message_enter_container(message, 'a', "{sv}"), "options");
        while (sd_bus_message_enter_container(message, 'e', "sv") > 0) {
            const char* name = nullptr;
            check_bus(sd_bus_message_read(message, "s", &name), "option");
            read_option(message, name, call);
            check_bus(sd_bus_message_exit_container(message), "option");
        }
        check_bus(sd_bus_message_exit_container(message), "options");
    }
}

int on_call(sd_bus_message* message, void* data, sd_bus_error* error);
int on_get_text(sd_bus*, const char*, const char*, const char* property, sd_bus_message* reply, void* data,
                sd_bus_error*);
int on_get_progress(sd_bus*, const char*, const char*, const char*, sd_bus_message* reply, void* data, sd_bus_error*);

int on_get_window(sd_bus*, const char*, const char*, const char*, sd_bus_message* reply, void* data, sd_bus_error*);
int on_get_notes(sd_bus*, const char*, const char*, const char*, sd_bus_message* reply, void* data, sd_bus_error*);

#define UPDATER_TEXT(name) SD_BUS_PROPERTY(name, "s", on_get_text, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE)
const sd_bus_vtable updater_vtable[] = {
    SD_BUS_VTABLE_START(0),
    SD_BUS_METHOD_WITH_ARGS("Check", SD_BUS_ARGS("a{sv}", options), SD_BUS_RESULT("s", result), on_call,
                            SD_BUS_VTABLE_UNPRIVILEGED),
    SD_BUS_METHOD_WITH_ARGS("Upgrade", SD_BUS_ARGS("a{sv}", options), SD_BUS_RESULT("s", result), on_call,
                            SD_BUS_VTABLE_UNPRIVILEGED),
    SD_BUS_METHOD_WITH_ARGS("Rollback", SD_BUS_ARGS("a{sv}", options), SD_BUS_RESULT("s", result), on_call,
                            SD_BUS_VTABLE_UNPRIVILEGED),
    SD_BUS_METHOD_WITH_ARGS("MarkGood", SD_BUS_NO_ARGS, SD_BUS_RESULT("s", result), on_call,
                            SD_BUS_VTABLE_UNPRIVILEGED),
    SD_BUS_METHOD_WITH_ARGS("Rebase", SD_BUS_ARGS("s", stream, "a{sv}", options), SD_BUS_RESULT("s", json), on_call,
                            SD_BUS_VTABLE_UNPRIVILEGED),
    SD_BUS_METHOD_WITH_ARGS("Deploy", SD_BUS_ARGS("s", release, "a{sv}", options), SD_BUS_RESULT("s", json), on_call,
                            SD_BUS_VTABLE_UNPRIVILEGED),
    SD_BUS_METHOD_WITH_ARGS("Pin", SD_BUS_ARGS("s", deployment), SD_BUS_RESULT("s", json), on_call,
                            SD_BUS_VTABLE_UNPRIVILEGED),
    SD_BUS_METHOD_WITH_ARGS("Unpin", SD_BUS_ARGS("s", deployment), SD_BUS_RESULT("s", json), on_call,
                            SD_BUS_VTABLE_UNPRIVILEGED),
    SD_BUS_METHOD_WITH_ARGS("Cleanup", SD_BUS_ARGS("a{sv}", options), SD_BUS_RESULT("s", json), on_call,
                            SD_BUS_VTABLE_UNPRIVILEGED),
    SD_BUS_METHOD_WITH_ARGS("KernelArguments", SD_BUS_NO_ARGS, SD_BUS_RESULT("s", json), on_call,
                            SD_BUS_VTABLE_UNPRIVILEGED),
    SD_BUS_METHOD_WITH_ARGS("ChangeKernelArguments", SD_BUS_ARGS("a{sv}", options), SD_BUS_RESULT("s", json), on_call,
                            SD_BUS_VTABLE_UNPRIVILEGED),
    SD_BUS_METHOD_WITH_ARGS("Diff", SD_BUS_ARGS("s", from, "s", to), SD_BUS_RESULT("s", json), on_call,
                            SD_BUS_VTABLE_UNPRIVILEGED),
    SD_BUS_METHOD_WITH_ARGS("EtcDiff", SD_BUS_NO_ARGS, SD_BUS_RESULT("s", json), on_call, SD_BUS_VTABLE_UNPRIVILEGED),
    SD_BUS_METHOD_WITH_ARGS("FactoryReset", SD_BUS_ARGS("a{sv}", options), SD_BUS_RESULT("s", json), on_call,
                            SD_BUS_VTABLE_UNPRIVILEGED),
    SD_BUS_METHOD_WITH_ARGS("BootLoaderStatus", SD_BUS_NO_ARGS, SD_BUS_RESULT("s", json), on_call,
                            SD_BUS_VTABLE_UNPRIVILEGED),
    SD_BUS_METHOD_WITH_ARGS("UpdateBootLoader", SD_BUS_ARGS("a{sv}", options), SD_BUS_RESULT("s", json), on_call,
                            SD_BUS_VTABLE_UNPRIVILEGED),
    SD_BUS_METHOD_WITH_ARGS("Status", SD_BUS_NO_ARGS, SD_BUS_RESULT("s", json), on_call, SD_BUS_VTABLE_UNPRIVILEGED),
    SD_BUS_METHOD_WITH_ARGS("History", SD_BUS_NO_ARGS, SD_BUS_RESULT("s", json), on_call, SD_BUS_VTABLE_UNPRIVILEGED),
    UPDATER_TEXT("State"),
    UPDATER_TEXT("BootedVersion"),
    UPDATER_TEXT("BootedCommit"),
    UPDATER_TEXT("BootedRevision"),
    UPDATER_TEXT("StagedVersion"),
    UPDATER_TEXT("StagedCommit"),
    UPDATER_TEXT("RollbackVersion"),
    UPDATER_TEXT("LastError"),
    UPDATER_TEXT("PolicyMode"),
    UPDATER_TEXT("PolicyProblem"),
    UPDATER_TEXT("LockRefused"),
    SD_BUS_PROPERTY("NextWindow", "t", on_get_window, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
    SD_BUS_PROPERTY("Notes", "as", on_get_notes, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
    SD_BUS_PROPERTY("Progress", "(tttt)", on_get_progress, 0, 0),
    SD_BUS_SIGNAL_WITH_ARGS("StateChanged", SD_BUS_ARGS("s", before, "s", after), 0),
    SD_BUS_SIGNAL_WITH_ARGS("Progress", SD_BUS_ARGS("t", bytes, "t", total_bytes, "t", objects, "t", total_objects), 0),
    SD_BUS_VTABLE_END,
};
#undef UPDATER_TEXT

// What clients ask a bus daemon. There is none: the answers say that everybody is this peer.
int on_hello(sd_bus_message* message, void*, sd_bus_error*) {
    return sd_bus_reply_method_return(message, "s", ":1.1");
}
int on_match(sd_bus_message* message, void*, sd_bus_error*) {
    return sd_bus_reply_method_return(message, nullptr);
}
int on_get_name_owner(sd_bus_message* message, void*, sd_bus_error*) {
    return sd_bus_reply_method_return(message, "s", ":1.0");
}
int on_start_service(sd_bus_message* message, void*, sd_bus_error*) {
    constexpr std::uint32_t already_running = 2;
    return sd_bus_reply_method_return(message, "u", already_running);
}
int on_list_names(sd_bus_message* message, void*, sd_bus_error*) {
    return sd_bus_reply_method_return(message, "as", 2, "org.freedesktop.DBus", bus::interface);
}

const sd_bus_vtable bus_vtable[] = {
    SD_BUS_VTABLE_START(0),
    SD_BUS_METHOD("Hello", "", "s", on_hello, SD_BUS_VTABLE_UNPRIVILEGED),
    SD_BUS_METHOD("AddMatch", "s", "", on_match, SD_BUS_VTABLE_UNPRIVILEGED),
    SD_BUS_METHOD("RemoveMatch", "s", "", on_match, SD_BUS_VTABLE_UNPRIVILEGED),
    SD_BUS_METHOD("GetNameOwner", "s", "s", on_get_name_owner, SD_BUS_VTABLE_UNPRIVILEGED),
    SD_BUS_METHOD("StartServiceByName", "su", "u", on_start_service, SD_BUS_VTABLE_UNPRIVILEGED),
    SD_BUS_METHOD("ListNames", "", "as", on_list_names, SD_BUS_VTABLE_UNPRIVILEGED),
    SD_BUS_VTABLE_END,
};

} // namespace

struct BusServer::Impl {
    EventLoop& loop;
    std::string path;
    std::function<BusView()> view;
    std::function<void(const BusCall&)> handler;
    base::UniqueFd listener;
    std::unique_ptr<EventLoop::Watch> accepting;
    std::list<BusOwner> peers;
    BusView published; ///< as the peers know it

    void listen();
    void accept_peer();
    void serve(base::UniqueFd fd);
    /// A sender that fails is a peer on its way out; sd-bus drops it.
    template <typename F>
    void for_each_peer(F&& send) {
        for (const BusOwner& peer : peers)
            send(peer.get());
    }
};

namespace {

int on_disconnected(sd_bus_message* message, void* data, sd_bus_error*) {
    auto& server = *static_cast<BusServer::Impl*>(data);
    sd_bus* gone = sd_bus_message_get_bus(message);
    // Not destroyed in its own callback: it is removed from the list now and released when the loop comes round.
    const auto found = std::find_if(server.peers.begin(), server.peers.end(),
                                    [&](const BusOwner& peer) { return peer.get() == gone; });
    if (found != server.peers.end()) {
        sd_bus_detach_event(gone);
        server.peers.erase(found);
    }
    return 0;
}

int on_call(sd_bus_message* message, void* data, sd_bus_error* error) {
    auto& server = *static_cast<BusServer::Impl*>(data);
    BusCall call;
    call.method = sd_bus_message_get_member(message);
    // EtcDiff only reads, but names files in directories that others cannot list.
    constexpr std::array reads{std::string_view("Status"), std::string_view("History"), std::string_view("Diff"),
                               std::string_view("KernelArguments"), std::string_view("BootLoaderStatus")};
    if (std::find(reads.begin(), reads.end(), call.method) == reads.end() && !is_root(message))
        return sd_bus_error_setf(error, SD_BUS_ERROR_ACCESS_DENIED, "only root may call %s", call.method.c_str());
    call.reply = std::make_shared<Reply>(message);
    try {
        read_arguments(message, call);
        server.handler(call);
    } catch (const BusError& failure) {
        call.reply->error(base::error_chain(failure), failure.name());
    } catch (const std::exception& failure) {
        call.reply->error(base::error_chain(failure));
    }
    return 1;
}

int on_get_text(sd_bus*, const char*, const char*, const char* property, sd_bus_message* reply, void* data,
                sd_bus_error*) {
    const BusView view = static_cast<BusServer::Impl*>(data)->view();
    const auto found = view.text.find(property);
    return sd_bus_message_append(reply, "s", found == view.text.end() ? "" : found->second.c_str());
}

int on_get_progress(sd_bus*, const char*, const char*, const char*, sd_bus_message* reply, void* data, sd_bus_error*) {
    const BusProgress now = static_cast<BusServer::Impl*>(data)->view().progress;
    return sd_bus_message_append(reply, "(tttt)", now.bytes, now.total_bytes, now.objects, now.total_objects);
}

int on_get_window(sd_bus*, const char*, const char*, const char*, sd_bus_message* reply, void* data, sd_bus_error*) {
    return sd_bus_message_append(reply, "t", static_cast<BusServer::Impl*>(data)->view().next_window);
}

int on_get_notes(sd_bus*, const char*, const char*, const char*, sd_bus_message* reply, void* data, sd_bus_error*) {
    std::vector<std::string> notes = static_cast<BusServer::Impl*>(data)->view().notes;
    std::vector<char*> words;
    for (std::string& note : notes)
        words.push_back(note.data());
    words.push_back(nullptr);
    return sd_bus_message_append_strv(reply, words.data());
}

} // namespace

void BusServer::Impl::listen() {
    struct sockaddr_un address {};
    address.sun_family = AF_UNIX;
    if (path.size() >= sizeof address.sun_path)
        throw base::Error(ENAMETOOLONG, "listen on " + path);
    std::copy(path.begin(), path.end(), address.sun_path);
    ::unlink(path.c_str()); // of an updaterd before us
    listener.reset(base::check(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), "socket"));
    base::check(::bind(listener.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address), "bind " + path);
    base::check(::chmod(path.c_str(), 0666), "chmod " + path);
    base::check(::listen(listener.get(), 16), "listen on " + path);
    accepting = loop.watch_readable(listener.get(), [this] { accept_peer(); });
}

void BusServer::Impl::accept_peer() {
    base::UniqueFd fd(::accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
    if (!fd)
        return;
    if (peers.size() >= max_peers) {
        base::log_warning("more than {} D-Bus clients: refused one", max_peers);
        return;
    }
    serve(std::move(fd));
}

void BusServer::Impl::serve(base::UniqueFd fd) {
    sd_bus* raw = nullptr;
    check_bus(sd_bus_new(&raw), "sd_bus_new");
    BusOwner bus(raw);
    sd_id128_t id{};
    check_bus(sd_id128_randomize(&id), "sd_id128_randomize");
    check_bus(sd_bus_set_fd(raw, fd.get(), fd.get()), "sd_bus_set_fd");
    fd.release(); // the bus closes it
    check_bus(sd_bus_set_server(raw, 1, id), "sd_bus_set_server");
    check_bus(sd_bus_negotiate_creds(raw, 1, SD_BUS_CREDS_EUID | SD_BUS_CREDS_PID), "sd_bus_negotiate_creds");
    check_bus(sd_bus_add_object_vtable(raw, nullptr, bus::object_path, bus::interface, updater_vtable, this),
              "publish org.atoll.Updater1");
    check_bus(sd_bus_add_object_vtable(raw, nullptr, "/org/freedesktop/DBus", "org.freedesktop.DBus", bus_vtable, this),
              "publish org.freedesktop.DBus");
    check_bus(sd_bus_match_signal(raw, nullptr, nullptr, "/org/freedesktop/DBus/Local", "org.freedesktop.DBus.Local",
                                  "Disconnected", on_disconnected, this),
              "watch for the end of the connection");
    check_bus(sd_bus_start(raw), "sd_bus_start");
    check_bus(sd_bus_attach_event(raw, loop.get(), 0), "sd_bus_attach_event");
    if (peers.empty())
        published = view(); // nobody was told of what changed since the last one went
    peers.push_back(std::move(bus));
}

BusServer::BusServer(EventLoop& loop, const std::string& socket_path, std::function<BusView()> view,
                     std::function<void(const BusCall&)> handler)
    : impl_(std::make_unique<Impl>(Impl{loop, socket_path, std::move(view), std::move(handler), {}, {}, {}, {}})) {
    impl_->listen();
}

BusServer::~BusServer() = default;

void BusServer::state_changed(const std::string& before, const std::string& after) {
    impl_->for_each_peer([&](sd_bus* peer) {
        sd_bus_emit_signal(peer, bus::object_path, bus::interface, "StateChanged", "ss", before.c_str(), after.c_str());
    });
    publish();
}

void BusServer::progress_changed(const BusProgress& now) {
    impl_->for_each_peer([&](sd_bus* peer) {
        sd_bus_emit_signal(peer, bus::object_path, bus::interface, "Progress", "tttt", now.bytes, now.total_bytes,
                           now.objects, now.total_objects);
    });
}

void BusServer::publish() {
    if (impl_->peers.empty())
        return;
    const BusView now = impl_->view();
    std::vector<std::string> changed;
    for (const auto& [name, text] : now.text) {
        const auto before = impl_->published.text.find(name);
        if (before == impl_->published.text.end() || before->second != text)
            changed.push_back(name);
    }
    if (now.next_window != impl_->published.next_window)
        changed.emplace_back("NextWindow");
    if (now.notes != impl_->published.notes)
        changed.emplace_back("Notes");
    impl_->published = now;
    if (changed.empty())
        return;
    std::vector<char*> names;
    for (std::string& name : changed)
        names.push_back(name.data());
    names.push_back(nullptr);
    impl_->for_each_peer([&](sd_bus* peer) {
        sd_bus_emit_properties_changed_strv(peer, bus::object_path, bus::interface, names.data());
    });
}

} // namespace updater
