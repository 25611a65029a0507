// A machine's disk in a directory: an ostree sysroot with /boot, /etc and /var, a repository to update from, keys, and
// a GRUB that follows grub.cfg's rules. On a tmpfs of its own in a private mount namespace, so that no freeze, flag or
// mount of a test reaches the host.
#pragma once
#include <functional>
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
    std::vector<std::string> kernel_arguments;
    /// Files below /usr/etc.
    std::map<std::string, std::string> etc;
    std::string packages; ///< the image's package list
    /// Made in the tree before it is committed, and in the commit: to spoil it.
    std::function<void(const std::string& tree)> spoil;
};

/// What the channel file of a stream says.
struct Offer {
    std::string stream = "atoll/stable";
    std::string version = "2";
    std::string commit;
    std::int64_t issued = 0; ///< 0: a second after the one before
    std::int64_t expires = 4'000'000'000;
    std::string minimum_version;
    int rollout = 100;
    std::string deltas = "[]";  ///< JSON
    std::string history = "[]"; ///< JSON
};

class Rig {
public:
    static constexpr const char* first_revision = "0000000000000001";

    enum class Boot { directory, file_system };
    /// With `file_system` /boot is an ext4 of its own on a loop device, as on a disk: `boot_image` is what GRUB reads.
    explicit Rig(Boot boot_kind = Boot::directory);
    ~Rig();

    /// Commits to the repository that is served, points its ref there, and offers it to every host in a channel file
    /// that `key` and the commit's signers have signed.
    std::string publish(const Image& image);
    /// Writes the signatures of a commit of the repository that is served.
    void sign(const std::string& commit, const std::vector<const SigningKey*>& signers) const;
    /// Writes a channel file.
    void offer(const Offer& offer, const std::vector<const SigningKey*>& signers);
    /// Writes key set `version`.
    void write_key_set(int version, std::size_t threshold, const std::vector<const SigningKey*>& keys,
                       const std::vector<const SigningKey*>& signers,
                       const std::vector<const SigningKey*>& revoked = {});
    /// Writes a signed file below the repository's `atoll/`.
    void write_signed(const std::string& path, const std::string& kind, const std::string& text,
                      const std::vector<const SigningKey*>& signers) const;
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

    /// Names below the repository's temporary directory and the delta's: what an interrupted download left.
    std::vector<std::string> leftovers() const;
    /// The key as a secret file of mkimage, in the rig's directory.
    std::string key_file(const SigningKey& key) const;
    std::string repository() const { return paths.root + "/ostree/repo"; }

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
    std::int64_t issued_ = 0; ///< of the last channel file
};

} // namespace updater_test
