#include "bus_client.hpp"

#include <systemd/sd-bus.h>

#include <optional>

#include "base/error.hpp"
#include "updater/bus_names.hpp"

namespace updater {

namespace {

void check_bus(int result, const std::string& what) {
    if (result < 0)
        throw base::Error(-result, what);
}

struct BusUnref {
    void operator()(sd_bus* bus) const noexcept { sd_bus_close_unref(bus); }
    void operator()(sd_bus_message* message) const noexcept { sd_bus_message_unref(message); }
};
using MessageOwner = std::unique_ptr<sd_bus_message, BusUnref>;

} // namespace

struct BusClient::Impl {
    std::string path;
    std::unique_ptr<sd_bus, BusUnref> bus;
    std::optional<std::string> answer;
    std::optional<std::string> failure;
};

namespace {

int on_answer(sd_bus_message* message, void* data, sd_bus_error*) {
    auto& client = *static_cast<BusClient::Impl*>(data);
    if (const sd_bus_error* error = sd_bus_message_get_error(message)) {
        client.failure = error->message != nullptr ? error->message : error->name;
        return 0;
    }
    const char* text = nullptr;
    if (sd_bus_message_read(message, "s", &text) < 0)
        client.failure = "updaterd sent an answer that is not text";
    else
        client.answer = text;
    return 0;
}

int on_progress_signal(sd_bus_message* message, void* data, sd_bus_error*) {
    const auto& client = *static_cast<BusClient*>(data);
    std::uint64_t bytes = 0, total_bytes = 0, objects = 0, total_objects = 0;
    if (sd_bus_message_read(message, "tttt", &bytes, &total_bytes, &objects, &total_objects) >= 0 && client.on_progress)
        client.on_progress(bytes, total_bytes, objects, total_objects);
    return 0;
}

int on_state_signal(sd_bus_message* message, void* data, sd_bus_error*) {
    const auto& client = *static_cast<BusClient*>(data);
    const char* before = nullptr;
    const char* after = nullptr;
    if (sd_bus_message_read(message, "ss", &before, &after) >= 0 && client.on_state)
        client.on_state(after);
    return 0;
}

} // namespace

BusClient::BusClient(const std::string& socket_path) : impl_(std::make_unique<Impl>()) {
    impl_->path = socket_path;
    const std::string what = "connect to updaterd at " + socket_path;
    sd_bus* raw = nullptr;
    check_bus(sd_bus_new(&raw), what);
    impl_->bus.reset(raw);
    check_bus(sd_bus_set_address(raw, ("unix:path=" + socket_path).c_str()), what);
    check_bus(sd_bus_start(raw), what);
    check_bus(sd_bus_match_signal(raw, nullptr, nullptr, bus::object_path, bus::interface, "Progress",
                                  on_progress_signal, this),
              what);
    check_bus(sd_bus_match_signal(raw, nullptr, nullptr, bus::object_path, bus::interface, "StateChanged",
                                  on_state_signal, this),
              what);
}

BusClient::~BusClient() = default;

std::string BusClient::call(const std::string& method, const std::vector<std::string>& arguments) {
    return call(method, arguments, nullptr);
}

std::string BusClient::call(const std::string& method, const std::vector<std::string>& arguments,
                            const Options& options) {
    return call(method, arguments, &options);
}

std::string BusClient::call(const std::string& method, const std::vector<std::string>& arguments,
                            const Options* options) {
    const std::string what = "call " + method;
    sd_bus_message* message = nullptr;
    check_bus(sd_bus_message_new_method_call(impl_->bus.get(), &message, nullptr, bus::object_path, bus::interface,
                                             method.c_str()),
              what);
    MessageOwner owner(message);
    for (const std::string& argument : arguments)
        check_bus(sd_bus_message_append(message, "s", argument.c_str()), what);
    if (options != nullptr) {
        check_bus(sd_bus_message_open_container(message, 'a', "{sv}"), what);
        for (const auto& [name, value] : options->flags)
            check_bus(sd_bus_message_append(message, "{sv}", name.c_str(), "b", static_cast<int>(value)), what);
        for (const auto& [name, value] : options->numbers)
            check_bus(sd_bus_message_append(message, "{sv}", name.c_str(), "t", value), what);
        for (const auto& [name, list] : options->lists) {
            check_bus(sd_bus_message_open_container(message, 'e', "sv"), what);
            check_bus(sd_bus_message_append(message, "s", name.c_str()), what);
            check_bus(sd_bus_message_open_container(message, 'v', "as"), what);
            check_bus(sd_bus_message_open_container(message, 'a', "s"), what);
            for (const std::string& item : list)
                check_bus(sd_bus_message_append(message, "s", item.c_str()), what);
            for (int container = 0; container < 3; ++container)
                check_bus(sd_bus_message_close_container(message), what);
        }
        check_bus(sd_bus_message_close_container(message), what);
    }
    return wait(owner.release());
}

std::string BusClient::wait(void* message) {
    const MessageOwner owner(static_cast<sd_bus_message*>(message));
    impl_->answer.reset();
    impl_->failure.reset();
    check_bus(sd_bus_call_async(impl_->bus.get(), nullptr, owner.get(), on_answer, impl_.get(), UINT64_MAX),
              "call updaterd at " + impl_->path);
    while (!impl_->answer && !impl_->failure) {
        const int processed = sd_bus_process(impl_->bus.get(), nullptr);
        check_bus(processed, "updaterd at " + impl_->path);
        if (processed == 0)
            check_bus(sd_bus_wait(impl_->bus.get(), UINT64_MAX), "wait for updaterd at " + impl_->path);
    }
    if (impl_->failure)
        throw base::Error(*impl_->failure);
    return *impl_->answer;
}

} // namespace updater
