// What Pid1 answers on its socket.
#include <cerrno>
#include <cstring>

#include "init/protocol.hpp"
#include "log.hpp"
#include "pid1.hpp"
#include "system.hpp"

namespace init {

namespace {

template <typename T>
void put_payload(Message& answer, const T& value) noexcept {
    static_assert(sizeof(T) <= sizeof answer.payload);
    std::memcpy(answer.payload, &value, sizeof value);
    answer.length = sizeof value;
}

std::string_view payload_text(const Message& request) noexcept {
    return {reinterpret_cast<const char*>(request.payload), request.length};
}

void answer_log(const Message& request, Message& answer) noexcept {
    LogRing::Line line;
    if (!log().ring().read(request.argument, line)) {
        answer.error = ENODATA;
        return;
    }
    LogRecord record{};
    record.sequence = line.sequence;
    record.monotonic_usec = line.usec;
    record.level = line.level;
    record.length =
        static_cast<std::uint32_t>(line.text.size() < sizeof record.text ? line.text.size() : sizeof record.text);
    std::memcpy(record.text, line.text.data(), record.length);
    put_payload(answer, record);
}

} // namespace

void Pid1::handle(const Message& request, const Caller& caller, Message& answer) noexcept {
    switch (static_cast<Operation>(request.operation)) {
    case Operation::status:
        answer_status(answer);
        return;
    case Operation::engine_alive:
        if (caller.engine)
            supervisor_.alive(now_msec());
        return;
    case Operation::revision_good:
        answer.error = trial_.good(payload_text(request)) ? 0 : EINVAL;
        return;
    case Operation::trial_length:
        answer.error = trial_.extend(request.argument) ? 0 : EINVAL;
        return;
    case Operation::boot_loader:
        answer.error = start_boot_loader_job(request.argument);
        return;
    case Operation::reboot:
    case Operation::poweroff:
    case Operation::halt:
        request_shutdown(request, caller, answer);
        return;
    case Operation::log_read:
        answer_log(request, answer);
        return;
    }
    answer.error = EOPNOTSUPP;
}

void Pid1::request_shutdown(const Message& request, const Caller& caller, Message& answer) noexcept {
    const auto operation = static_cast<Operation>(request.operation);
    Text<200> reason;
    sanitize_line(payload_text(request), reason);
    if (request.argument == shutdown_force) {
        log_notice(operation_name(operation), ", forced by pid ", caller.pid, ": ", reason.view());
        end_machine(operation, true, watchdog_);
    }
    if (phase_ != Phase::none) {
        answer.error = operation == shutdown_operation_ ? 0 : EBUSY;
        return;
    }
    const Text<256> whole(reason.view(), " (asked by pid ", caller.pid, ")");
    begin_shutdown(operation, whole.view());
}

void Pid1::answer_status(Message& answer) const noexcept {
    const Msec now = now_msec();
    Status status{};
    status.uptime_msec = now;
    status.engine_alive_msec = supervisor_.last_alive() == never ? UINT64_MAX : now - supervisor_.last_alive();
    status.log_next = log().ring().next();
    status.log_console_dropped = log().console().dropped();
    status.engine_pid = engine_;
    status.engine_state = supervisor_.state();
    status.engine_restarts = supervisor_.restarts();
    status.on_trial = trial_.on_trial() ? 1 : 0;
    if (trial_.on_trial() && trial_.deadline() > now)
        status.trial_seconds_left = static_cast<std::uint32_t>((trial_.deadline() - now + 999) / 1000);
    status.trial_seconds = static_cast<std::uint32_t>(trial_.length() / 1000);
    status.shutdown_state = phase_ == Phase::engine     ? ShutdownState::engine
                            : phase_ == Phase::orphans  ? ShutdownState::kill
                            : phase_ == Phase::finalize ? ShutdownState::finalize
                                                        : ShutdownState::none;
    status.shutdown_operation = static_cast<std::uint32_t>(shutdown_operation_);
    status.watchdog_seconds = static_cast<std::uint32_t>(watchdog_.seconds());
    copy_text(status.revision, sizeof status.revision, trial_.revision());
    copy_text(status.engine_last_end, sizeof status.engine_last_end, engine_last_end_.view());
    copy_text(status.shutdown_reason, sizeof status.shutdown_reason, shutdown_reason_.view());
    copy_text(status.watchdog_identity, sizeof status.watchdog_identity, watchdog_.identity());
    copy_text(status.init_version, sizeof status.init_version, version());
    put_payload(answer, status);
}

} // namespace init
