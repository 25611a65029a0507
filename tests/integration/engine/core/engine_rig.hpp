// An engine of its own for a test: directories, a mount namespace, a cgroup, an image with busybox, the real runtime.
// Needs root, overlayfs and a cgroup2 mount.
#pragma once
#include <chrono>
#include <memory>
#include <string>

#include "base/files.hpp"
#include "engine/engine.hpp"
#include "engine/local_image_store.hpp"
#include "engine/network.hpp"

namespace engine_test {

using namespace std::chrono_literals;
inline constexpr engine::Caller user{false};
inline constexpr engine::Caller root{true};
inline constexpr auto long_enough = 60s;

class EngineRig {
public:
    EngineRig();
    ~EngineRig(); ///< removes every container

    /// Starts an engine over the rig's directories (again, after `drop`).
    engine::Engine& start();
    /// Ends the engine and leaves its containers, as SIGUSR2 does to engined.
    void drop();
    engine::Engine& operator*() { return *engine_; }
    engine::Engine* operator->() { return engine_.get(); }

    /// What a reboot does: every process is gone, and the run directory is empty.
    void reboot();
    void write_service(const std::string& name, const std::string& text);

    /// Waits until `what` is true; fails the test after a minute.
    static void wait_until(const std::string& description, const std::function<bool()>& what);

    /// A container that runs `script` in busybox's shell, without network.
    static engine::ContainerConfig shell(const std::string& script);
    std::string run(const std::string& name, const engine::ContainerConfig& config);
    engine::WaitResult wait_end(const std::string& id,
                                engine::WaitCondition condition = engine::WaitCondition::not_running);
    std::string log_of(const std::string& id);
    /// Runs a container to its end; its output. `exit_code`, when given, is set.
    std::string output_of(engine::ContainerConfig config, int* exit_code = nullptr);
    pid_t monitor_of(const std::string& id);

    const engine::EngineOptions& options() const noexcept { return options_; }
    const base::TempDir& directory() const noexcept { return directory_; }
    engine::Networks& networks() noexcept { return *networks_; }

private:
    base::TempDir directory_;
    engine::EngineOptions options_;
    std::unique_ptr<engine::LocalImageStore> images_;
    std::unique_ptr<engine::Networks> networks_;
    std::unique_ptr<engine::Engine> engine_;
};

/// A docker-archive with a static busybox at TARGET, named REFERENCE; /etc/version says VERSION.
void make_busybox_archive(const std::string& target, const std::string& reference, const std::string& version = "1");

} // namespace engine_test
