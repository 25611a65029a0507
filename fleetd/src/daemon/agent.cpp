#include "daemon/agent.hpp"

#include <future>

#include "base/log.hpp"
#include "model/records.hpp"

namespace fleet {
namespace {

using namespace std::chrono_literals;

constexpr std::size_t parallel_actions = 8;
constexpr unsigned most_busy_turns = 20; ///< then a pause: the engine may say yes and change nothing

/// Empty: it went well.
std::string perform(EngineApi& engine, const HostSnapshot& host, const Action& action) {
    try {
        switch (action.kind) {
        case Action::Kind::create:
            engine.create(host.fleet.units.at(action.unit), action.replica, host.store);
            break;
        case Action::Kind::start:
            engine.start(action.container);
            break;
        case Action::Kind::stop:
            engine.stop(action.container);
            break;
        case Action::Kind::remove:
            engine.remove(action.container);
            break;
        case Action::Kind::pull: // the puller's
            break;
        }
        base::log_info("{} unit={} replica={}", to_string(action.kind), action.unit, action.replica);
        return {};
    } catch (const std::exception& error) {
        return base::error_chain(error);
    }
}

} // namespace

Agent::Agent(Store& store, Host host, EngineFactory connect)
    : store_(store), host_(std::move(host)), connect_(std::move(connect)), watch_(store),
      puller_(connect_, [this] { watch_.wake(); }) {
    store_.put(keys::hosts + host_.id, serialize_host(host_), Lifetime::session);
}

void Agent::start() {
    thread_ = std::thread([this] { run(); });
}

void Agent::stop() noexcept {
    stopping_ = true;
    watch_.wake();
    if (thread_.joinable())
        thread_.join();
}

void Agent::run() {
    while (!stopping_) {
        auto pause = std::chrono::milliseconds(2s);
        try {
            pause = turn(std::chrono::steady_clock::now());
        } catch (const std::exception& error) { // of the store
            base::log_error("cannot look after units: {}", base::error_chain(error));
        }
        if (!stopping_)
            watch_.wait(pause);
    }
}

std::chrono::milliseconds Agent::turn(TimePoint now) {
    const FleetSnapshot fleet = read_snapshot(store_);
    std::optional<HostSnapshot> host;
    try {
        host.emplace(look(fleet, now));
    } catch (const base::Error& error) {
        if (blind_turns_++ == 0)
            base::log_warning("{}", base::error_chain(error));
        engine_.reset();
        engine_version_.clear();
        report_blind(fleet, base::error_chain(error));
        return std::min<std::chrono::milliseconds>(retry_delay(blind_turns_), 5s);
    }
    if (std::exchange(blind_turns_, 0) > 0)
        base::log_info("the container engine answers again");
    Plan plan = reconcile(*host);
    const std::vector<Action> actions = plan.actions;
    const bool settled = std::all_of(plan.replicas.begin(), plan.replicas.end(),
                                     [](const ReplicaReport& replica) { return replica.converged; });
    report(fleet, std::move(plan));
    carry_out(*host, actions);
    busy_turns_ = actions.empty() ? 0 : busy_turns_ + 1;
    if (!actions.empty() && busy_turns_ < most_busy_turns)
        return 0ms;
    return settled ? 2s : 500ms;
}

/// Fills in running_since. The engine's times are of a clock that may be set.
void Agent::date(std::vector<ObservedContainer>& containers, TimePoint now) {
    std::map<std::string, std::pair<std::string, TimePoint>> running;
    for (ObservedContainer& container : containers) {
        if (container.state != "running")
            continue;
        const auto before = running_.find(container.id);
        const bool same = before != running_.end() && before->second.first == container.started;
        container.running_since = same ? before->second.second : now;
        running[container.id] = {container.started, container.running_since};
    }
    running_ = std::move(running);
}

HostSnapshot Agent::look(const FleetSnapshot& fleet, TimePoint now) {
    if (!engine_)
        engine_ = connect_();
    if (engine_version_.empty())
        engine_version_ = engine_->version();
    HostSnapshot host{host_.id, store_.id(), fleet, engine_->containers(), {}, failures_, now};
    date(host.containers, now);
    for (const auto& [name, unit] : fleet.units) {
        // Somebody edited it, or asked for it again: an image that could not be pulled is tried at once.
        if (std::exchange(known_[name], unit.revision()) != unit.revision())
            puller_.forget(unit.spec.image);
    }
    std::erase_if(known_, [&](const auto& item) { return !fleet.units.contains(item.first); });
    for (const std::string& image : images_needed(host)) {
        ImageState state = puller_.state(image);
        state.present = engine_->has_image(image);
        if (state.present)
            puller_.forget(image);
        host.images[image] = state;
    }
    return host;
}

void Agent::report(const FleetSnapshot& fleet, Plan plan) {
    for (const ReplicaReport& replica : plan.replicas) {
        if (replica.converged)
            failures_.erase({replica.unit, replica.replica});
    }
    std::erase_if(failures_, [&](const auto& item) {
        return std::none_of(plan.replicas.begin(), plan.replicas.end(), [&](const ReplicaReport& replica) {
            return Slot(replica.unit, replica.replica) == item.first;
        });
    });
    publish({fleet.input_revision, engine_version_, {}, std::move(plan.replicas), std::move(plan.foreign)});
}

/// What ran keeps its place in the report: unknown is not gone.
void Agent::report_blind(const FleetSnapshot& fleet, const std::string& why) {
    HostReport report{fleet.input_revision, {}, why, {}, {}};
    if (const auto last = fleet.reports.find(host_.id); last != fleet.reports.end())
        report.replicas = last->second.replicas;
    for (ReplicaReport& replica : report.replicas) {
        replica.state = "unknown";
        replica.health = "none";
        replica.detail = why;
        replica.converged = false;
    }
    publish(report);
}

void Agent::publish(const HostReport& report) {
    const std::string key = keys::reports + host_.id;
    std::string text = serialize_report(report);
    const auto last = store_.get(key);
    if (!last || last->value != text)
        store_.put(key, std::move(text), Lifetime::session);
}

void Agent::carry_out(const HostSnapshot& host, const std::vector<Action>& actions) {
    std::vector<Action> mine;
    for (const Action& action : actions) {
        if (action.kind == Action::Kind::pull)
            puller_.request(action.image);
        else
            mine.push_back(action);
    }
    for (std::size_t first = 0; first < mine.size() && !stopping_; first += parallel_actions) {
        // A stop waits for the container: others need not wait for it too.
        const std::size_t count = std::min(parallel_actions, mine.size() - first);
        std::vector<std::future<std::string>> others;
        for (std::size_t i = first + 1; i < first + count; ++i) {
            others.push_back(std::async(
                std::launch::async, [this, &host, &action = mine[i]] { return perform(*connect_(), host, action); }));
        }
        remember(host, mine[first], perform(*engine_, host, mine[first]));
        for (std::size_t i = 0; i < others.size(); ++i)
            remember(host, mine[first + 1 + i], others[i].get());
    }
}

void Agent::remember(const HostSnapshot& host, const Action& action, const std::string& error) {
    const Slot slot(action.unit, action.replica);
    if (error.empty())
        return; // the failure is forgotten when the replica is as wanted, not when one step of many worked
    Failure& failure = failures_[slot];
    if (failure.error != error)
        base::log_warning("unit={} replica={}: {}", action.unit, action.replica, error);
    if (failure.revision != action.revision)
        failure = {.revision = action.revision};
    failure.error = error;
    ++failure.attempts;
    failure.retry_at = host.now + retry_delay(failure.attempts);
}

} // namespace fleet
