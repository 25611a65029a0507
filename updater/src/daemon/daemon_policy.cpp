// Updates by themselves: looked for now and then, installed when the policy, the window and the reboot lock allow it.
#include <ctime>
#include <random>

#include "base/error.hpp"
#include "base/log.hpp"
#include "daemon.hpp"
#include "updater/boot_text.hpp"

namespace updater {

namespace json = base::json;
using Mode = base::UpdatePolicy::Mode;

namespace {

constexpr Judge::Time longest_pause = std::chrono::seconds(10);
constexpr Judge::Time shortest_pause = std::chrono::seconds(1);
constexpr Judge::Time first_look_within = std::chrono::minutes(5);

double random_part() {
    static std::mt19937_64 generator{std::random_device{}()};
    return std::uniform_real_distribution<double>(0, 1)(generator);
}

Judge::Time part_of(Judge::Time whole, double part) {
    return Judge::Time(static_cast<Judge::Time::rep>(static_cast<double>(whole.count()) * part));
}

/// The answer of a call that the policy makes: to nobody, but the outcome counts.
class PolicyReply final : public BusReply {
public:
    explicit PolicyReply(std::function<void(bool)> done) : done_(std::move(done)) {}
    void ok(const std::string&) override { done_(true); }
    void error(const std::string&, const char*) override { done_(false); }

private:
    std::function<void(bool)> done_;
};

} // namespace

void Daemon::start_policy() {
    // Not all machines of a fleet that got power at the same moment at once.
    try {
        const base::UpdatePolicy policy = base::HostConfig::load(paths_.host_yaml).update.policy;
        const Judge::Time interval = std::chrono::seconds(policy.interval_seconds);
        policy_.next_look = boot_time() + part_of(std::min(interval, first_look_within), random_part());
    } catch (const base::Error&) {
        policy_.next_look = boot_time(); // the tick reports it
    }
    policy_.timer = loop_.after(shortest_pause, [this] { policy_tick(); });
}

void Daemon::policy_tick() {
    Judge::Time pause = longest_pause;
    try {
        // Read every time: a change counts without a restart.
        const base::UpdatePolicy policy = base::HostConfig::load(paths_.host_yaml).update.policy;
        const Judge::Time now = boot_time();
        PolicyFacts facts;
        facts.mode = policy.mode;
        facts.state = record_.state;
        facts.busy = job_ != nullptr || policy_.lock_job != nullptr || policy_.reboot_asked;
        facts.is_good = !booted_.revision.empty() && booted_.revision == grub_ok_;
        facts.look_due = now >= policy_.next_look;
        facts.window_open =
            policy.mode == Mode::windows && is_open(policy.windows, clock_of(policy.zone)(std::time(nullptr)));
        facts.has_lock = policy.lock.has_value();
        facts.released = policy_.released;
        facts.lock_due = now >= policy_.next_lock;
        act(policy, decide(facts));
        if (policy.mode != Mode::off)
            pause = std::min(pause, policy_.next_look - boot_time());
        if (policy.lock && (!policy_.released || record_.state == State::staged))
            pause = std::min(pause, policy_.next_lock - boot_time());
        policy_.problem.clear();
    } catch (const std::exception& error) {
        // Nothing is done by itself until it is mended.
        const std::string problem = plain_text(base::error_chain(error), 500);
        if (problem != policy_.problem)
            base::log_error("update policy: {}", problem);
        policy_.problem = problem;
    }
    publish();
    policy_.timer = loop_.after(std::max(pause, shortest_pause), [this] { policy_tick(); });
}

void Daemon::act(const base::UpdatePolicy& policy, PolicyAction action) {
    switch (action) {
    case PolicyAction::none:
        return;
    case PolicyAction::check:
    case PolicyAction::stage: {
        const Judge::Time interval = std::chrono::seconds(policy.interval_seconds);
        // A tenth more or less, so that hosts do not stay in step.
        policy_.next_look = boot_time() + part_of(interval, 0.9 + 0.2 * random_part());
        BusCall call;
        call.method = action == PolicyAction::check ? "Check" : "Upgrade";
        call.reply = std::make_shared<PolicyReply>([this, interval](bool ok) {
            policy_.timer = loop_.after(shortest_pause, [this] { policy_tick(); }); // what came may be installed now
            policy_.look_failures = ok ? 0 : policy_.look_failures + 1;
            if (!ok) // sooner than usual, but not in step
                policy_.next_look =
                    boot_time() + std::min<Judge::Time>(interval, retry_pause(policy_.look_failures, random_part()));
        });
        start_pull(call, {.metadata_only = action == PolicyAction::check, .stream = {}, .release = {}, .commit = {}});
        return;
    }
    case PolicyAction::release_lock:
    case PolicyAction::take_lock:
        ask_for_lock(action == PolicyAction::release_lock);
        return;
    case PolicyAction::reboot:
        history_.add("reboot", record_.staged ? record_.staged->release : Release{},
                     fmt::format("by policy {}", to_string(policy.mode)));
        ask_reboot("update by policy");
        policy_.reboot_asked = true;
        return;
    }
}

void Daemon::ask_for_lock(bool release) {
    std::vector<std::string> arguments{"reboot-lock"};
    if (release)
        arguments.emplace_back("--release");
    policy_.lock_job = std::make_unique<WorkerJob>(
        loop_, WorkerJob::Options{.argv = worker(std::move(arguments)),
                                  .on_end =
                                      [this, release](const WorkerResult& result) {
                                          policy_.lock_job.reset();
                                          const json::value document(result.result);
                                          const base::JsonObject answer(document, "reboot-lock");
                                          if (!result.ok || !answer.boolean("granted")) {
                                              policy_.lock_refused =
                                                  plain_text(result.ok ? answer.string("reason") : result.error, 500);
                                              policy_.next_lock =
                                                  boot_time() + retry_pause(policy_.lock_failures++, random_part());
                                              base::log_info("reboot lock: {}", policy_.lock_refused);
                                              publish();
                                              return;
                                          }
                                          policy_.lock_failures = 0;
                                          policy_.lock_refused.clear();
                                          policy_.released = release;
                                          if (release)
                                              return;
                                          // Staged may be gone by now, and the window closed: then the slot goes back.
                                          if (record_.state != State::staged || job_)
                                              return;
                                          history_.add("reboot", record_.staged->release,
                                                       "by policy, with the reboot lock");
                                          ask_reboot("update by policy");
                                          policy_.reboot_asked = true;
                                      },
                                  .silence = std::chrono::seconds(60)});
}

json::object Daemon::policy_status() const {
    json::object status;
    try {
        const base::UpdatePolicy policy = base::HostConfig::load(paths_.host_yaml).update.policy;
        status["mode"] = to_string(policy.mode);
        if (policy.mode == Mode::windows) {
            const std::int64_t now = std::time(nullptr);
            if (const auto opening = next_opening(policy.windows, clock_of(policy.zone), now))
                status["next_window"] = *opening;
        }
        if (policy.mode != Mode::off)
            status["next_look_seconds"] = std::max<std::int64_t>(0, (policy_.next_look - boot_time()).count() / 1000);
        if (policy.lock)
            status["lock"] = json::object{{"url", plain_text(policy.lock->url, 200)},
                                          {"released", policy_.released},
                                          {"refused", policy_.lock_refused}};
    } catch (const std::exception& error) {
        status["problem"] = plain_text(base::error_chain(error), 500);
    }
    return status;
}

} // namespace updater
