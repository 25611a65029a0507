// A machine's disk in a directory: an ostree sysroot with /boot, /etc and /var, a repository to update from, keys, and
// a GRUB that follows grub.cfg's rules. On a tmpfs of its own in a private mount namespace, so that no freeze, flag or
// mount of a test reaches the host.
#pragma once
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/files.hpp"
#include "base/grub_env.hpp"
#include "base/process.hpp"
#include "http_files.hpp"
#include "updater/paths.hpp"

namespace updater_test {

/// An ed25519 key pair.
struct SigningKey {
    std::string secret; ///< 32 bytes
    std::string public_base64;
    static SigningKey make();
    std::string sign(std::string_view data) const;
};

struct Image {
    std::string version = "1";
    std::string ref = "atoll/stable";
    std::string pretty_name = "Atoll";
    std::string program = "one"; ///< content of /usr/bin/program
    std::string kernel;          ///< content of vmlinuz; empty: "kernel"
    std::size_t payload = 0;     ///< bytes of a file that does not compress
    std::int64_t timestamp = 1'800'000'000;
    bool sizes = true;
    std::vector<const SigningKey*> signers;
    std::string bind_ref; ///< another ref in the commit's binding
};

class Rig {
public:
    static constexpr const char* first_revision = "0000000000000001";

    enum class Boot { directory, file_system };
    /// With `file_system` /boot is an ext4 of its own on a loop device, as on a disk: `boot_image` is what GRUB reads.
    explicit Rig(Boot boot_kind = Boot::directory);
    ~Rig();

    /// Commits to the repository that is served, and points its ref there.
    std::string publish(const Image& image);
    /// Installs a first deployment with `first_revision`, known good, and boots it.
    void install(const std::string& commit);
    void write_host_yaml(const std::string& extra = {});

    /// What GRUB and the kernel do: counts, chooses an entry, writes /proc/cmdline and a new boot id. Returns the
    /// revision that booted.
    std::string boot();
    std::string booted_revision() const;
    base::GrubEnv grub_env() const { return base::GrubEnv::load(paths.grub_env); }
    /// Revisions of the boot entries in the order GRUB tries them.
    std::vector<std::string> entries() const;
    /// Root directory of the deployment that an entry's `ostree=` leads to; throws when it leads nowhere.
    std::string deployment_of(const std::string& revision) const;

    base::RunResult worker(std::vector<std::string> arguments) const;
    base::RunResult pull(std::vector<std::string> more = {}) const;
    /// Standard output's last line.
    static std::string last_line(const base::RunResult& run);
    /// Names and sizes of everything below the sysroot but the repository's temporary files.
    std::vector<std::string> listing() const;

    std::string object_path(const std::string& server_commit, const std::string& file) const;
    std::string directory;
    std::string boot_image;
    updater::Paths paths;
    SigningKey key = SigningKey::make();
    SigningKey stranger = SigningKey::make();
    std::unique_ptr<HttpFiles> server;

private:
    std::map<std::string, std::string> entry(const std::string& file) const;
    std::string options_of(const std::string& revision) const;
    unsigned boots_ = 0;
};

} // namespace updater_test
