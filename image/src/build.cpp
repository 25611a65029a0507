#include "image/build.hpp"

#include <sys/stat.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>

#include "base/error.hpp"
#include "base/files.hpp"
#include "base/log.hpp"
#include "image/base_tree.hpp"
#include "image/disk.hpp"
#include "image/grub.hpp"
#include "image/os_tree.hpp"
#include "image/publish.hpp"
#include "image/repository.hpp"
#include "image/signing_key.hpp"
#include "image/size_report.hpp"
#include "image/spec.hpp"
#include "image/sysroot.hpp"

namespace image {
namespace {

namespace fs = std::filesystem;

constexpr const char* staging_prefix = ".mkimage";
constexpr std::size_t revision_digits = 16;
constexpr std::uint64_t object_cache_limit = 2ULL << 30;

class Build {
public:
    explicit Build(const BuildOptions& options);
    BuildResult run();

private:
    std::string prepare_base();
    std::int64_t timestamp() const;
    std::string commit(const std::string& tree);
    void stage_disk(const std::string& commit, const BootLoader& loader);
    void publish(const std::string& commit);
    void limit_object_cache() const;

    const BuildOptions& options_;
    ImageSpec spec_;
    Lock lock_;
    bool relocked_ = false;
    Cache cache_;
    PackagePool pool_;
    std::vector<SigningKey> keys_;
    base::TempDir work_;    ///< on the cache's file system
    base::TempDir staging_; ///< on the output's
    BuildResult result_;
};

std::string made(const std::string& directory) {
    base::make_directories(directory);
    return directory;
}

/// The output directory; what a killed build left there is removed.
std::string clean_output(const std::string& directory) {
    base::make_directories(directory);
    for (const fs::directory_entry& entry : fs::directory_iterator(directory)) {
        if (entry.path().filename().string().starts_with(staging_prefix))
            base::remove_tree(entry.path().string());
    }
    return directory;
}

void warn_about_keys(const KeySetFile& set, const std::vector<std::string>& signing) {
    const auto good =
        static_cast<std::size_t>(std::count_if(signing.begin(), signing.end(), [&](const std::string& key) {
            return std::find(set.keys.begin(), set.keys.end(), key) != set.keys.end();
        }));
    if (good < set.threshold)
        base::log_warning(
            "{} of the keys given belong to key set {}, {} have to sign: add the others with `mkimage sign`", good,
            set.version, set.threshold);
}

Build::Build(const BuildOptions& options)
    : options_(options), spec_(load_image_spec(options.yaml)), lock_(load_lock(spec_.base.lock_path)),
      cache_(options.cache), pool_(options.pool.empty() ? cache_.pool() : options.pool), work_("build", cache_.work()),
      staging_(staging_prefix, clean_output(options.output)) {
    if (options.version)
        spec_.version = *options.version;
    for (const std::string& argument : options.kernel_arguments)
        spec_.kernel_arguments.push_back(argument);
    if (options.disk && spec_.disk.boot_files.empty())
        throw base::Error(options.yaml + ": disk.boot_files: missing");
    for (const std::string& path : options.keys)
        keys_.push_back(SigningKey::load(path));
    result_ = {.name = spec_.name,
               .version = spec_.version,
               .ref = spec_.ref,
               .commit = {},
               .revision = {},
               .sizes = {},
               .outputs = {}};
}

std::string Build::prepare_base() {
    try {
        return prepare_base_tree(spec_.base, lock_, pool_, cache_, true);
    } catch (const PackageGone& gone) {
        if (!options_.relock)
            throw;
        base::log_warning("{}: taking the mirror's versions of today; the new lock is {}/packages.lock", gone.what(),
                          options_.output);
        lock_ = resolve_with_apt(spec_.base);
        relocked_ = true;
        return prepare_base_tree(spec_.base, lock_, pool_, cache_, true);
    }
}

std::int64_t Build::timestamp() const {
    if (options_.timestamp)
        return *options_.timestamp;
    return spec_.timestamp.value_or(lock_.date);
}

void Build::limit_object_cache() const {
    std::uint64_t size = 0;
    if (!fs::exists(cache_.repository()))
        return;
    for (const TreeFile& file : list_files(cache_.repository()))
        size += file.size;
    if (size > object_cache_limit)
        base::remove_tree(cache_.repository());
}

std::string Build::commit(const std::string& tree) {
    limit_object_cache();
    Repository repository = Repository::open_or_create(cache_.repository());
    return repository.commit(
        {.tree = tree, .name = spec_.name, .version = spec_.version, .ref = spec_.ref, .timestamp = timestamp()});
}

void Build::stage_disk(const std::string& commit, const BootLoader& loader) {
    result_.revision = commit.substr(0, revision_digits);
    const std::string sysroot = made(work_ / "sysroot");
    std::vector<std::string> arguments{"root=LABEL=atoll-root"};
    arguments.insert(arguments.end(), spec_.kernel_arguments.begin(), spec_.kernel_arguments.end());
    arguments.push_back("atoll.rev=" + result_.revision);
    make_sysroot({.repository = cache_.repository(),
                  .commit = commit,
                  .ref = spec_.ref,
                  .revision = result_.revision,
                  .kernel_arguments = arguments},
                 keys_, sysroot);
    make_disk({.spec = spec_.disk, .sysroot = sysroot, .seed = commit, .revision = result_.revision, .loader = loader},
              staging_ / "disk.raw");
    if (options_.qcow2)
        convert_to_qcow2(staging_ / "disk.raw", staging_ / "disk.qcow2");
}

/// The last step: everything that can fail for want of space has been written.
void Build::publish(const std::string& commit) {
    const std::string served = options_.output + "/repo";
    const bool exists = fs::exists(served);
    Repository repository = Repository::open_or_create(exists ? served : staging_ / "repo");
    repository.pull(cache_.repository(), commit);
    repository.sign(commit, keys_);
    repository.set_ref(spec_.ref, commit);
    repository.update_summary();
    write_channel(repository, spec_.ref, commit, options_.channel, keys_);
    base::write_durable(staging_ / "packages.lock", format_lock(lock_));
    for (const char* name : {"repo", "disk.raw", "disk.qcow2", "packages.lock"}) {
        const std::string staged = staging_ / name;
        const std::string target = options_.output + "/" + name;
        if (fs::exists(staged))
            fs::rename(staged, target);
        else if (std::string_view(name) != "repo")
            continue;
        result_.outputs.push_back(target);
    }
}

BuildResult Build::run() {
    const std::string base_tree = prepare_base();
    std::vector<std::string> public_keys;
    for (const SigningKey& key : keys_)
        public_keys.push_back(key.public_key_base64());
    const std::optional<KeySetFile> key_set = newest_key_set(options_.output + "/repo");
    if (key_set)
        warn_about_keys(*key_set, public_keys);
    if (keys_.empty())
        base::log_warning("no --key: the commit is not signed, and no host will take it as an update");
    std::optional<BootLoader> loader;
    if (!spec_.disk.boot_files.empty())
        loader = make_boot_loader(spec_.disk.boot_files + "/grub.cfg", spec_.disk.boot_mark);
    const Tree tree = make_os_tree({.spec = spec_,
                                    .base_tree = base_tree,
                                    .bin_dir = options_.bin_dir,
                                    .timestamp = timestamp(),
                                    .lock = lock_,
                                    .public_keys = public_keys,
                                    .key_set = key_set,
                                    .loader = loader},
                                   work_ / "tree");
    result_.sizes = size_report(tree.root(), options_.measure);
    result_.commit = commit(tree.root());
    if (options_.disk)
        stage_disk(result_.commit, *loader);
    publish(result_.commit);
    return result_;
}

} // namespace

BuildResult build_image(const BuildOptions& options) {
    ::umask(022);
    return Build(options).run();
}

} // namespace image
