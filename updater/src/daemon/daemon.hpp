// updaterd: holds the state, runs the workers, judges the boot, answers on D-Bus.
#pragma once
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/host_config.hpp"
#include "bus_server.hpp"
#include "event_loop.hpp"
#include "updater/boot_assessment.hpp"
#include "updater/history.hpp"
#include "updater/image_info.hpp"
#include "updater/judge.hpp"
#include "updater/paths.hpp"
#include "updater/policy.hpp"
#include "updater/record.hpp"
#include "worker_job.hpp"

namespace updater {

/// Where updates come from: the host's configuration, and the image for what it leaves open.
struct UpdateSource {
    std::string url;
    std::string ref;
};

class Daemon {
public:
    Daemon(EventLoop& loop, Paths paths, std::string worker_program);
    ~Daemon();

    /// Works out what this boot means and starts to judge it.
    void start();

private:
    // daemon.cpp: state, workers, init
    void handle(const BusCall& call);
    void change(Event event);
    bool save() noexcept; ///< false: logged
    void fail(const std::string& what) noexcept;
    std::vector<std::string> worker(std::vector<std::string> arguments) const;
    bool on_trial() const noexcept { return record_.state == State::trying; }
    /// Tells init; false and logged when it is not there.
    bool tell_init_good() noexcept;
    void tell_init_trial(std::chrono::seconds deadline) noexcept;
    void ask_reboot(const std::string& reason);

    void remove_leftovers() noexcept;

    // daemon_boot.cpp: what this boot means
    void repair();
    void assess();
    void read_failed_reset(const std::string& revision, std::optional<std::string>& init_failure);
    void refresh_deployments();
    void confirm_good();
    void drop_old_var();
    void write_ok();
    void copy_ok() noexcept;
    void clear_count(const std::string& revision) noexcept;
    void put_booted_first(const std::string& failed);

    // daemon_status.cpp: what is told
    BusView view() const;
    void publish() noexcept; ///< properties that changed
    std::string status_text() const;
    const Deployment* rollback_target() const;

    // daemon_update.cpp: check and upgrade
    UpdateSource source() const;
    void check(const BusCall& call);
    void upgrade(const BusCall& call);
    struct PullWish {
        bool metadata_only = false;
        std::string stream;  ///< empty: the one this host follows
        std::string release; ///< both empty: what the stream offers; a version of it
        std::string commit;  ///< or any commit of it
    };
    void start_pull(const BusCall& call, const PullWish& wish);
    void on_pull_line(const base::json::object& line);
    void on_pull_end(const BusCall& call, bool metadata_only, const UpdateSource& from, const WorkerResult& result);
    void stage(const Release& release, const UpdateSource& from);

    // daemon_order.cpp: what boots next, what is good
    void rollback(const BusCall& call);
    void settle_order();
    void note_left_behind(const Release& target, const base::json::object& answer);
    void reorder(const BusCall& call, const Release& target, bool reverts);
    void mark_good(const BusCall& call);

    // daemon_change.cpp: deployments as root wants them
    void rebase(const BusCall& call);
    void deploy_release(const BusCall& call);
    void pin(const BusCall& call, bool pinned);
    void cleanup(const BusCall& call);
    void change_kernel_arguments(const BusCall& call);
    void stage_arguments(const BusCall& call, const std::vector<std::string>& booted_arguments,
                         const std::vector<ArgumentChange>& changes);
    void factory_reset(const BusCall& call);
    /// Stages content that is here, for a deployment of its own at the next shutdown.
    void stage_local(const BusCall& call, StagedUpdate staged, const std::string& event);
    /// Throws BusError unless a change of deployments may begin.
    void require_idle(const char* what) const;

    // daemon_loader.cpp: GRUB itself
    void boot_loader_status(const BusCall& call);
    void update_boot_loader(const BusCall& call);
    void note_boot_loader(const base::json::object& answer);

    // daemon_policy.cpp: what is done by itself
    void start_policy();
    void policy_tick();
    void act(const base::UpdatePolicy& policy, PolicyAction action);
    void ask_for_lock(bool release);
    base::json::object policy_status() const;

    // daemon_query.cpp: what takes a worker to answer
    void diff(const BusCall& call);
    void etc_diff(const BusCall& call);
    void kernel_arguments(const BusCall& call);
    void query(const BusCall& call, std::vector<std::string> arguments,
               std::function<base::json::object(base::json::object)> finish);
    /// "booted", "staged", "rollback", an index, or what a revision, commit or version begins with or is.
    const Deployment& choose(const std::string& text) const;
    Release choose_release(const std::string& text) const;

    // daemon_trial.cpp: judging the boot
    void start_judging();
    void watch_health();
    void watch_workload();
    void on_health(const HealthReport& report);
    void stop_judging();
    void on_verdict(Judge::Verdict verdict);
    void give_up();
    void write_receipt(Judge::Failure failure, std::vector<std::string> log);

    // daemon_baseline.cpp: how the workloads do before the reboot into another release
    void follow_baseline();
    void start_baseline();
    void on_baseline(const base::json::object& line);

    EventLoop& loop_;
    Paths paths_;
    std::string worker_program_;
    Record record_;
    History history_;
    Release booted_;
    std::string grub_ok_;
    std::vector<Deployment> deployments_;
    bool has_fallback_ = false;
    BusProgress progress_;

    std::unique_ptr<WorkerJob> job_; ///< the one that looks for updates or changes boot entries
    struct Policy {
        std::unique_ptr<EventLoop::Watch> timer;
        std::unique_ptr<WorkerJob> lock_job;
        Judge::Time next_look{0}; ///< both since the kernel started
        Judge::Time next_lock{0};
        unsigned look_failures = 0;
        unsigned lock_failures = 0;
        bool released = false;     ///< the lock's server knows since this boot that we are steady
        bool reboot_asked = false; ///< init was asked; it is on its way
        std::string problem;       ///< of the configuration
        std::string lock_refused;  ///< what the server said
    };
    Policy policy_;
    std::unique_ptr<WorkerJob> query_job_;
    std::unique_ptr<WorkerJob> tidy_job_; ///< removes what a factory reset replaced
    std::unique_ptr<WorkerJob> health_job_;
    std::unique_ptr<WorkerJob> checks_job_; ///< of the trial, or of the baseline
    std::unique_ptr<WorkerJob> log_job_;
    std::unique_ptr<EventLoop::Watch> deadline_;
    std::unique_ptr<EventLoop::Watch> retry_;
    std::unique_ptr<EventLoop::Watch> checks_retry_;
    std::optional<Judge> judge_;
    bool given_up_ = false;
    std::unique_ptr<BusServer> bus_; ///< last: its clients' calls reach everything above
};

/// `updaterd --finalize`: makes the staged update the newest deployment. Returns false when nothing is staged.
bool finalize(const Paths& paths, const std::string& worker_program, bool own_namespace);

/// Since the kernel started, with time asleep.
Judge::Time boot_time();

} // namespace updater
