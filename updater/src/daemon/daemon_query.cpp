// Questions that take a worker to answer: the differences of two releases, of /etc, and the kernel arguments.
#include <charconv>

#include "base/error.hpp"
#include "daemon.hpp"
#include "record_json.hpp"
#include "updater/boot_text.hpp"

namespace updater {

namespace json = base::json;

void Daemon::query(const BusCall& call, std::vector<std::string> arguments,
                   std::function<json::object(json::object)> finish) {
    // One at a time: everybody may ask, and each is a process.
    if (query_job_)
        throw BusError(error_busy, "another question is being worked on; try again");
    query_job_ = std::make_unique<WorkerJob>(
        loop_, WorkerJob::Options{.argv = worker(std::move(arguments)),
                                  .on_end = [this, call, finish](const WorkerResult& result) {
                                      query_job_.reset();
                                      if (!result.ok) {
                                          call.reply->error(plain_text(result.error, 2000));
                                          return;
                                      }
                                      try {
                                          if (const json::object answer = finish(result.result); !answer.empty())
                                              call.reply->ok(json::serialize(answer));
                                      } catch (const BusError& error) {
                                          call.reply->error(error.what(), error.name());
                                      } catch (const base::Error& error) {
                                          call.reply->error(base::error_chain(error), error_invalid);
                                      }
                                  }});
}

const Deployment& Daemon::choose(const std::string& text) const {
    if (text.empty())
        throw BusError(error_invalid, "which deployment? booted, rollback, its index, version, revision or commit");
    std::vector<const Deployment*> found;
    std::size_t index = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), index);
    const bool is_index = error == std::errc() && end == text.data() + text.size() && index < deployments_.size();
    constexpr std::size_t shortest_prefix = 4;
    for (const Deployment& deployment : deployments_) {
        const bool is_prefix = text.size() >= shortest_prefix && (deployment.release.revision.starts_with(text) ||
                                                                  deployment.release.commit.starts_with(text));
        if ((text == "booted" && deployment.booted) || deployment.release.version == text || is_prefix)
            found.push_back(&deployment);
    }
    if (text == "rollback" && rollback_target() != nullptr)
        found.push_back(rollback_target());
    if (found.empty() && is_index)
        found.push_back(&deployments_[index]);
    if (found.empty())
        throw BusError(error_not_found, "no deployment '" + plain_text(text, 100) + "'");
    if (found.size() > 1)
        throw BusError(error_invalid, fmt::format("'{}' can be {} or {}", plain_text(text, 100),
                                                  found[0]->release.describe(), found[1]->release.describe()));
    return *found.front();
}

Release Daemon::choose_release(const std::string& text) const {
    if (record_.staged && (text == "staged" || text == record_.staged->release.version))
        return record_.staged->release;
    if (text == "staged")
        throw BusError(error_not_found, "nothing is staged");
    return choose(text).release;
}

void Daemon::diff(const BusCall& call) {
    const bool other = record_.staged && record_.staged->release.commit != booted_.commit;
    const Release from = choose_release(call.argument(0).empty() ? "booted" : call.argument(0));
    const Release to = choose_release(call.argument(1).empty() ? (other ? "staged" : "rollback") : call.argument(1));
    query(call, {"diff", "--from", from.commit, "--to", to.commit}, [from, to](json::object result) {
        result["from"] = release_to_json(from);
        result["to"] = release_to_json(to);
        return result;
    });
}

void Daemon::etc_diff(const BusCall& call) {
    std::vector<std::string> arguments{"etc-diff"};
    if (record_.staged)
        arguments.insert(arguments.end(), {"--to", record_.staged->release.commit});
    query(call, std::move(arguments), [staged = record_.staged](json::object result) {
        if (staged)
            result["next"] = release_to_json(staged->release);
        result["factory"] = staged && staged->factory;
        return result;
    });
}

void Daemon::kernel_arguments(const BusCall& call) {
    query(call, {"kernel-arguments"}, [staged = record_.staged](json::object result) {
        if (staged)
            result["staged"] = staged_to_json(*staged);
        return result;
    });
}

} // namespace updater
