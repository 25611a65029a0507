// The jobs that are recorded, and where each begins and ends in the log.
#include "base/error.hpp"
#include "base/files.hpp"
#include "crash/recording.hpp"
#include "crash/write_log.hpp"
#include "qemu/rig.hpp"

namespace crash {
namespace {

using qemu::Seconds;

constexpr Seconds boot_limit{900};
constexpr Seconds job_limit{900};

class Recorder {
public:
    Recorder(qemu::Rig& rig, Recording& recording) : rig_(rig), recording_(recording) {}

    /// What follows belongs to this job, until the next begins.
    void begin(const std::string& name, bool judged = true) {
        end();
        recording_.jobs.push_back({.name = name, .first = count_log_entries(recording_.log()), .judged = judged});
    }
    void end() {
        if (!recording_.jobs.empty())
            recording_.jobs.back().last = count_log_entries(recording_.log());
    }
    /// The rig's own edits: synced, and never judged half done.
    void edit(const std::string& command) {
        begin("edits", false);
        run(command + " && sync");
    }
    void run(const std::string& command) { rig_.machine().run_checked(command, job_limit); }
    void job(const std::string& name, const std::string& command) {
        begin(name);
        run(command);
    }
    bool has(const std::string& command) { return rig_.machine().run(command).ok(); }
    void shut_down(const std::string& name) {
        begin(name);
        rig_.machine().qmp().forget_events();
        rig_.machine().post("initctl reboot");
        if (!rig_.machine().qmp().wait_event("RESET", qemu::Deadline(job_limit)))
            throw base::Error("the machine did not reboot; " + rig_.machine().console().path());
    }
    /// Until everything is healthy; the revision is not found good before it is asked for, see `record`.
    void boot(const std::string& name, const std::string& version) {
        begin(name);
        rig_.machine().wait_rebooted(boot_limit);
        rig_.machine().run_until("enginectl health && updatectl status --json | grep -Eq '\"busy\": *false'",
                                 boot_limit);
        if (rig_.version() != version)
            throw base::Error(fmt::format("release {} runs, expected {}", rig_.version(), version));
        if (has("test -s /run/atoll/good-revision"))
            throw base::Error("the revision was found good before it was asked for");
    }
    void publish(const std::string& repository) { rig_.publish(repository); }

private:
    qemu::Rig& rig_;
    Recording& recording_;
};

void upgrade(Recorder& recorder) {
    recorder.edit(fmt::format("printf '{}' >/var/{} && seq {} >/var/{} && echo early >/etc/rig/edited-by-admin",
                              "kept whatever happens\\n", marker_file, large_marker_lines, large_marker_file));
    recorder.job("upgrade: download and stage", "updatectl upgrade");
    recorder.edit("echo late >/etc/rig/made-by-admin && echo late >>/etc/rig/edited-by-admin");
    recorder.shut_down(finalise_job);
}

/// The releases of the rig differ in it.
void update_boot_loader(Recorder& recorder, const std::string& name) {
    recorder.job(name, "said=$(updatectl bootloader update) && echo \"$said\" && "
                       "test \"$(echo \"$said\" | grep -c ': installed')\" = 2");
}

void trial(Recorder& recorder) {
    recorder.boot("upgrade: trial boot", "2.0");
    recorder.job("mark-good", "updatectl mark-good");
    update_boot_loader(recorder, loader_job);
    recorder.job("rollback", "updatectl rollback");
}

/// The deployment that is booted stays, and one of two goes.
void cleanup(Recorder& recorder) {
    recorder.job("cleanup", "updatectl cleanup --keep 1");
}

void after_rollback(Recorder& recorder, qemu::Images& images) {
    recorder.shut_down("rollback: shutdown");
    recorder.boot("rollback: trial boot", "1.0");
    recorder.job("mark-good after rollback", "updatectl mark-good");
    recorder.job("stage again", "updatectl upgrade --force");
    recorder.job("drop what is staged", "updatectl cleanup --staged");
    recorder.job("change kernel arguments", "updatectl kargs --append rig.replay=1");
    // What the releases before do not have: kernel and initramfs of its own, and a third boot loader.
    const std::string newer = images.make_release("kernel");
    images.offer_anew(newer);
    recorder.publish(newer);
    recorder.job("new kernel: download and stage", "updatectl upgrade");
    recorder.shut_down("new kernel: finalise");
    recorder.boot("new kernel: trial boot", "3.0-kernel");
    recorder.job("new kernel: mark-good", "updatectl mark-good");
    // Into the place of the first one, whose files go.
    update_boot_loader(recorder, "new kernel: boot loader update");
    cleanup(recorder);
}

// The same update by libostree's own order, in a machine that is otherwise ours. A new kernel argument, because a new
// kernel, as most real updates have one, makes libostree swap `loader` too.
void stock(Recorder& recorder) {
    recorder.edit(fmt::format("printf '{}' >/var/{} && seq {} >/var/{}", "kept whatever happens\\n", marker_file,
                              large_marker_lines, large_marker_file));
    recorder.begin("download", false);
    recorder.run("updatectl upgrade && sync");
    recorder.begin("ostree admin deploy");
    recorder.run("ostree admin deploy --os=atoll --karg=atoll.rev=00000000000000aa "
                 "\"$(ostree refs | grep staged)\"");
}

} // namespace

Recording record(qemu::Images& images, Script script, const std::string& directory) {
    qemu::RigOptions options;
    options.name = script == Script::stock ? "stock" : script == Script::hasty ? "hasty" : "recorded";
    options.directory = directory;
    options.disk = script == Script::stock || script == Script::hasty ? images.make_disk(options.name) : images.disk();
    options.repository = images.repository();
    options.write_log = "writes.log";
    // So long that finding a revision good is a job of its own.
    options.settle_seconds = 3600;
    options.trial_seconds = 4 * 3600;
    base::remove_tree(directory);
    qemu::Rig rig(images.places(), options);
    Recording recording{.directory = directory};
    base::run_checked({"qemu-img", "convert", "-O", "raw", options.disk, recording.base()});
    Recorder recorder(rig, recording);
    rig.machine().create();
    rig.machine().start();
    recorder.begin(first_boot);
    try {
        rig.wait_good(boot_limit);
        if (script == Script::stock)
            stock(recorder);
        else
            upgrade(recorder);
        if (script == Script::upgrade || script == Script::whole)
            trial(recorder);
        if (script == Script::upgrade)
            cleanup(recorder);
        else if (script == Script::whole)
            after_rollback(recorder, images);
    } catch (const std::exception&) {
        if (rig.machine().running())
            rig.machine().collect_logs();
        throw;
    }
    recorder.end();
    rig.machine().power_cut();
    recording.save();
    return recording;
}

} // namespace crash
