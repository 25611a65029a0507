#include "runtime/state.hpp"

#include <dirent.h>
#include <sched.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <charconv>
#include <ctime>

#include "base/error.hpp"
#include "base/files.hpp"
#include "base/json.hpp"
#include "base/scope_exit.hpp"
#include "runtime/cgroup.hpp"

namespace engine::runtime {

namespace json = boost::json;

namespace {

constexpr std::int64_t state_format = 1;

json::object annotations_object(const ContainerState& state) {
    json::object annotations;
    for (const auto& [key, value] : state.annotations)
        annotations[key] = value;
    return annotations;
}

} // namespace

const char* to_string(Status status) noexcept {
    switch (status) {
    case Status::creating:
        return "creating";
    case Status::created:
        return "created";
    case Status::running:
        return "running";
    case Status::paused:
        return "paused";
    case Status::stopped:
        return "stopped";
    }
    return "unknown";
}

std::optional<std::uint64_t> process_start_time(pid_t pid) {
    const base::UniqueFd file(open(("/proc/" + std::to_string(pid) + "/stat").c_str(), O_RDONLY | O_CLOEXEC));
    char buffer[1024];
    const ssize_t size = file ? read(file.get(), buffer, sizeof buffer) : -1;
    if (size <= 0)
        return std::nullopt;
    std::string_view text(buffer, static_cast<std::size_t>(size));
    // PID (COMM) STATE ...; the name may hold anything, so from its last parenthesis on. Start time is field 22.
    const std::size_t name_end = text.rfind(')');
    if (name_end == std::string_view::npos || name_end + 2 >= text.size())
        return std::nullopt;
    text.remove_prefix(name_end + 2);
    if (text.front() == 'Z' || text.front() == 'X')
        return std::nullopt;
    for (int field = 3; field < 22; ++field) {
        const std::size_t space = text.find(' ');
        if (space == std::string_view::npos)
            return std::nullopt;
        text.remove_prefix(space + 1);
    }
    std::uint64_t ticks = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), ticks);
    return error == std::errc{} ? std::optional(ticks) : std::nullopt;
}

void check_id(const std::string& id) {
    const bool valid =
        !id.empty() && id.size() <= 255 && id.front() != '.' && std::all_of(id.begin(), id.end(), [](char c) {
            return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '+' ||
                   c == '-' || c == '.';
        });
    if (!valid)
        throw base::Error("container id \"" + id +
                          "\" is not made of letters, digits and \"_+-.\", or begins with a dot");
}

void replace_file(const std::string& path, std::string_view content, mode_t mode) {
    const std::string temporary = path + ".new." + std::to_string(getpid());
    try {
        base::UniqueFd file = base::open_file(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW, mode);
        base::write_all(file.get(), content, temporary);
        base::checked_close(std::move(file), temporary);
        base::check(rename(temporary.c_str(), path.c_str()), "rename " + temporary + " to " + path);
    } catch (const base::Error&) {
        unlink(temporary.c_str());
        throw;
    }
}

StateStore::StateStore(std::string root) : root_(std::move(root)) {
    base::make_directories(root_, 0700);
}

base::UniqueFd StateStore::claim(const std::string& id) const {
    check_id(id);
    const std::string path = directory(id);
    if (mkdir(path.c_str(), 0700) < 0) {
        if (errno == EEXIST)
            throw base::Error("container \"" + id + "\" exists already");
        base::throw_errno("make " + path);
    }
    base::UniqueFd lock = base::open_file(path, O_RDONLY | O_DIRECTORY);
    base::check(flock(lock.get(), LOCK_EX | LOCK_NB), "lock " + path);
    return lock;
}

base::UniqueFd StateStore::lock(const std::string& id) const {
    check_id(id);
    const std::string path = directory(id);
    base::UniqueFd lock(open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!lock) {
        if (errno == ENOENT)
            throw NoSuchContainer(id);
        base::throw_errno("open " + path);
    }
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(10);
    while (flock(lock.get(), LOCK_EX | LOCK_NB) < 0) {
        if (errno != EWOULDBLOCK && errno != EINTR)
            base::throw_errno("lock " + path);
        if (std::chrono::steady_clock::now() > deadline)
            throw base::Error(EBUSY, "container \"" + id + "\": another operation is under way");
        const timespec pause{0, 2'000'000};
        nanosleep(&pause, nullptr);
    }
    struct stat status {};
    if (fstat(lock.get(), &status) < 0 || status.st_nlink == 0)
        throw NoSuchContainer(id);
    return lock;
}

void StateStore::save(const ContainerState& state) const {
    const json::object document{
        {"format", state_format},
        {"id", state.id},
        {"ociVersion", state.oci_version},
        {"bundle", state.bundle},
        {"rootfs", state.rootfs},
        {"created", state.created},
        {"pid", state.pid},
        {"startTime", state.start_time},
        {"cgroup", state.cgroup},
        {"scope", state.scope},
        {"namespaces", state.namespaces},
        {"lateHooks", state.late_hooks},
        {"startReadsConfig", state.start_reads_config},
        {"annotations", annotations_object(state)},
    };
    replace_file(directory(state.id) + "/state.json", json::serialize(document), 0600);
}

ContainerState StateStore::load(const std::string& id) const {
    check_id(id);
    const std::string path = directory(id) + "/state.json";
    const std::optional<std::string> text = base::read_file_if_exists(path);
    if (!text)
        throw NoSuchContainer(id);
    const json::value document = base::parse_json(*text, path);
    const base::JsonObject object(document, path);
    if (object.integer("format") != state_format)
        throw base::Error(path + ": format " + std::to_string(object.integer("format")) + " is not known here");
    ContainerState state;
    state.id = object.required_string("id");
    state.oci_version = object.string("ociVersion");
    state.bundle = object.string("bundle");
    state.rootfs = object.string("rootfs");
    state.created = object.string("created");
    state.pid = static_cast<pid_t>(object.integer("pid"));
    state.start_time = static_cast<std::uint64_t>(object.integer("startTime"));
    state.cgroup = object.string("cgroup");
    state.scope = object.string("scope");
    state.namespaces = static_cast<int>(object.integer("namespaces"));
    state.late_hooks = object.boolean("lateHooks", true);                // a release before did not write it
    state.start_reads_config = object.boolean("startReadsConfig", true); // likewise
    if (const auto annotations = object.object("annotations"))
        for (const auto& [key, value] : annotations->raw())
            state.annotations.emplace_back(key, annotations->string(key));
    return state;
}

Status StateStore::status(const ContainerState& state) const {
    if (state.pid == 0)
        return Status::creating;
    if (process_start_time(state.pid) != state.start_time)
        return Status::stopped;
    if (access(start_socket(state.id).c_str(), F_OK) == 0)
        return Status::created;
    if (!state.cgroup.empty() && Cgroup::open(state.cgroup).frozen())
        return Status::paused;
    return Status::running;
}

void StateStore::remove(const std::string& id) const {
    base::remove_tree(directory(id));
}

std::vector<std::string> StateStore::ids() const {
    std::vector<std::string> ids;
    DIR* stream = opendir(root_.c_str());
    if (stream == nullptr)
        base::throw_errno("open " + root_);
    const base::ScopeExit close_stream([&] { closedir(stream); });
    while (const dirent* entry = readdir(stream))
        if (entry->d_name[0] != '.')
            ids.emplace_back(entry->d_name);
    std::sort(ids.begin(), ids.end());
    return ids;
}

std::string state_document(const ContainerState& state, Status status, bool pretty) {
    json::object document{
        {"ociVersion", state.oci_version},
        {"id", state.id},
        {"status", to_string(status)},
        {"pid", status == Status::stopped ? 0 : state.pid},
        {"bundle", state.bundle},
        {"rootfs", state.rootfs},
        {"created", state.created},
        {"owner", ""},
        {"annotations", annotations_object(state)},
    };
    if (!pretty)
        return json::serialize(document);
    std::string text = "{";
    for (const auto& [key, value] : document) {
        text += text.size() == 1 ? "\n" : ",\n";
        text += "  \"" + std::string(key) + "\": " + json::serialize(value);
    }
    return text + "\n}\n";
}

} // namespace engine::runtime
