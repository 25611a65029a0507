#include "rig.hpp"

#include <openssl/evp.h>
#include <ostree.h>
#include <sched.h>
#include <sys/mount.h>

#include "base/error.hpp"
#include "base/sha256.hpp"
#include "base/signed_text.hpp"
#include "updater/sysroot.hpp"
#include "updater/trust.hpp"

namespace updater_test {

namespace {

void check_glib(bool ok, GError* error) {
    if (ok)
        return;
    const std::string message = error != nullptr ? error->message : "failed";
    g_clear_error(&error);
    throw base::Error(message);
}

void private_mount_namespace() {
    static const bool once = [] {
        base::check(::unshare(CLONE_NEWNS), "unshare");
        base::check(::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr), "make / private");
        return true;
    }();
    (void)once;
}

void write_file(const std::string& path, std::string_view content) {
    base::make_directories(std::filesystem::path(path).parent_path());
    const base::UniqueFd fd = base::open_file(path, O_WRONLY | O_CREAT | O_TRUNC, 0644);
    base::write_all(fd.get(), content, path);
}

void sign_commit(const std::string& repository, const std::string& commit,
                 const std::vector<const SigningKey*>& signers) {
    GError* error = nullptr;
    GFile* path = g_file_new_for_path(repository.c_str());
    OstreeRepo* repo = ostree_repo_new(path);
    check_glib(ostree_repo_open(repo, nullptr, &error), error);
    GVariant* object = nullptr;
    check_glib(ostree_repo_load_variant(repo, OSTREE_OBJECT_TYPE_COMMIT, commit.c_str(), &object, &error), error);
    const std::string_view bytes(static_cast<const char*>(g_variant_get_data(object)), g_variant_get_size(object));
    GVariantBuilder list;
    g_variant_builder_init(&list, G_VARIANT_TYPE("aay"));
    for (const SigningKey* key : signers) {
        const std::string signature = key->sign(bytes);
        g_variant_builder_add_value(
            &list, g_variant_new_fixed_array(G_VARIANT_TYPE_BYTE, signature.data(), signature.size(), 1));
    }
    GVariantBuilder metadata;
    g_variant_builder_init(&metadata, G_VARIANT_TYPE("a{sv}"));
    g_variant_builder_add(&metadata, "{sv}", updater::signature_metadata_key, g_variant_builder_end(&list));
    GVariant* detached = g_variant_ref_sink(g_variant_builder_end(&metadata));
    check_glib(ostree_repo_write_commit_detached_metadata(repo, commit.c_str(), detached, nullptr, &error), error);
    g_variant_unref(detached);
    g_variant_unref(object);
    g_object_unref(repo);
    g_object_unref(path);
}

} // namespace

SigningKey SigningKey::make() {
    EVP_PKEY* pair = EVP_PKEY_Q_keygen(nullptr, nullptr, "ED25519");
    SigningKey key;
    std::size_t size = 32;
    key.secret.resize(size);
    EVP_PKEY_get_raw_private_key(pair, reinterpret_cast<unsigned char*>(key.secret.data()), &size);
    std::string raw(32, '\0');
    EVP_PKEY_get_raw_public_key(pair, reinterpret_cast<unsigned char*>(raw.data()), &size);
    EVP_PKEY_free(pair);
    key.public_base64 = base::base64_encode(raw);
    return key;
}

std::string SigningKey::sign(std::string_view data) const {
    EVP_PKEY* pair = EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, nullptr,
                                                  reinterpret_cast<const unsigned char*>(secret.data()), secret.size());
    EVP_MD_CTX* context = EVP_MD_CTX_new();
    std::string signature(64, '\0');
    std::size_t size = signature.size();
    const bool ok = EVP_DigestSignInit(context, nullptr, nullptr, nullptr, pair) == 1 &&
                    EVP_DigestSign(context, reinterpret_cast<unsigned char*>(signature.data()), &size,
                                   reinterpret_cast<const unsigned char*>(data.data()), data.size()) == 1;
    EVP_MD_CTX_free(context);
    EVP_PKEY_free(pair);
    if (!ok)
        throw base::Error("sign");
    return signature;
}

Rig::Rig(Boot boot_kind) {
    private_mount_namespace();
    directory = base::TempDir("updater-rig").release();
    base::check(::mount("tmpfs", directory.c_str(), "tmpfs", 0, "size=512m"), "mount tmpfs");
    const std::string repository = directory + "/server";
    const std::string sysroot = directory + "/machine";
    base::make_directories(repository);
    base::make_directories(sysroot + "/boot");
    if (boot_kind == Boot::file_system) {
        boot_image = directory + "/boot.img";
        write_file(boot_image, "");
        base::check(::truncate(boot_image.c_str(), 48 << 20), "truncate");
        base::run_checked({"mke2fs", "-q", "-t", "ext4", "-b", "4096", boot_image});
        base::run_checked({"mount", "-o", "loop", boot_image, sysroot + "/boot"});
    }
    base::run_checked({"ostree", "init", "--mode=archive", "--repo=" + repository});
    base::run_checked({"ostree", "admin", "init-fs", "--modern", sysroot});
    base::run_checked({"ostree", "admin", "os-init", "atoll", "--sysroot=" + sysroot});
    base::run_checked({"ostree", "config", "--repo=" + sysroot + "/ostree/repo", "set", "sysroot.bootloader", "none"});
    paths = updater::Paths::below(sysroot);
    write_file(paths.grub_env, base::GrubEnv().serialize());
    write_file(paths.trusted_keys + "/release", key.public_base64 + "\n");
    write_file(paths.image_yaml, "name: atoll\nversion: \"1\"\nref: atoll/stable\n");
    base::make_directories(paths.state_directory);
    base::make_directories(sysroot + "/run/atoll");
    server = std::make_unique<HttpFiles>(repository);
    write_host_yaml();
}

Rig::~Rig() {
    server.reset();
    if (!boot_image.empty()) {
        updater::thaw_boot(paths.boot); // a test that failed may have left it frozen, and nobody could unmount it
        ::umount2(paths.boot.c_str(), MNT_DETACH);
    }
    ::umount2(directory.c_str(), MNT_DETACH);
    ::rmdir(directory.c_str());
}

void Rig::write_host_yaml(const std::string& extra) {
    write_file(paths.host_yaml, fmt::format("update:\n  url: {}\n{}", server->url(), extra));
}

std::string Rig::publish(const Image& image) {
    const std::string tree = directory + "/tree";
    base::remove_tree(tree);
    for (const char* name : {"proc", "sys", "dev", "run", "var", "sysroot", "boot", "usr/bin"})
        base::make_directories(tree + "/" + name);
    if (image.spoil)
        image.spoil(tree);
    const std::string modules = tree + "/usr/lib/modules/6.1.0-1";
    write_file(modules + "/vmlinuz", image.kernel.empty() ? "kernel" : image.kernel);
    write_file(modules + "/initramfs.img", "initramfs");
    write_file(tree + "/usr/lib/os-release", "NAME=Atoll\nID=atoll\nPRETTY_NAME=\"" + image.pretty_name + "\"\n");
    write_file(tree + "/usr/bin/program", image.program);
    write_file(tree + "/usr/etc/shipped", "version " + image.version + "\n");
    write_file(tree + "/usr/etc/kept", "as shipped\n");
    for (const auto& [name, text] : image.etc)
        write_file(tree + "/usr/etc/" + name, text);
    if (!image.packages.empty())
        write_file(tree + "/usr/lib/atoll/packages", image.packages);
    if (!image.kernel_arguments.empty()) {
        std::string yaml = "name: atoll\nversion: '" + image.version + "'\nref: " + image.ref + "\nkernel_arguments:\n";
        for (const std::string& argument : image.kernel_arguments)
            yaml += "  - '" + argument + "'\n";
        write_file(tree + "/usr/lib/atoll/image.yaml", yaml);
    }
    if (image.payload > 0) {
        std::string noise;
        for (unsigned block = 0; noise.size() < image.payload; ++block)
            noise += base::sha256_hex(fmt::format("{} {}", image.version, block));
        noise.resize(image.payload);
        write_file(tree + "/usr/bin/payload", noise);
    }
    std::vector<std::string> argv{"ostree",
                                  "commit",
                                  "--repo=" + directory + "/server",
                                  "--branch=" + image.ref,
                                  "--owner-uid=0",
                                  "--owner-gid=0",
                                  fmt::format("--timestamp=@{}", image.timestamp),
                                  "--add-metadata-string=version=" + image.version};
    if (image.sizes)
        argv.emplace_back("--generate-sizes");
    if (!image.bind_ref.empty()) {
        argv.emplace_back("--no-bindings");
        argv.push_back("--add-metadata=ostree.ref-binding=['" + image.bind_ref + "']");
    }
    argv.push_back(tree);
    std::string commit = base::run_checked(argv);
    commit.erase(commit.find_last_not_of('\n') + 1);
    if (!image.signers.empty())
        sign_commit(directory + "/server", commit, image.signers);
    std::vector<const SigningKey*> signers = image.signers;
    if (std::find(signers.begin(), signers.end(), &key) == signers.end())
        signers.push_back(&key);
    offer({.stream = image.ref, .version = image.version, .commit = commit}, signers);
    return commit;
}

void Rig::sign(const std::string& commit, const std::vector<const SigningKey*>& signers) const {
    sign_commit(directory + "/server", commit, signers);
}

void Rig::write_signed(const std::string& path, const std::string& kind, const std::string& text,
                       const std::vector<const SigningKey*>& signers) const {
    base::SignedText file{kind, {}, text};
    for (const SigningKey* signer : signers)
        file.signatures.push_back(signer->sign(file.message()));
    write_file(directory + "/server/atoll/" + path, file.serialize());
}

void Rig::offer(const Offer& offer, const std::vector<const SigningKey*>& signers) {
    issued_ = offer.issued != 0 ? offer.issued : std::max<std::int64_t>(issued_ + 10, 1'800'000'000);
    std::string text =
        fmt::format(R"({{"format":1,"stream":"{}","version":"{}","commit":"{}","issued":{},"expires":{},"rollout":{},)"
                    R"("deltas":{},"minimum_version":"{}","history":{}}})",
                    offer.stream, offer.version, offer.commit, issued_, offer.expires, offer.rollout, offer.deltas,
                    offer.minimum_version, offer.history);
    write_signed("channels/" + offer.stream, "channel", text, signers);
}

void Rig::write_key_set(int version, std::size_t threshold, const std::vector<const SigningKey*>& keys,
                        const std::vector<const SigningKey*>& signers, const std::vector<const SigningKey*>& revoked) {
    const auto list = [](const std::vector<const SigningKey*>& all) {
        std::string text;
        for (const SigningKey* one : all)
            text += (text.empty() ? "\"" : ",\"") + one->public_base64 + "\"";
        return text;
    };
    write_signed(fmt::format("keys/{}", version), "keys",
                 fmt::format(R"({{"format":1,"version":{},"threshold":{},"keys":[{}],"revoked":[{}]}})", version,
                             threshold, list(keys), list(revoked)),
                 signers);
}

void Rig::install(const std::string& commit) {
    const std::string repository = paths.root + "/ostree/repo";
    base::run_checked({"ostree", "pull-local", "--repo=" + repository, directory + "/server", commit});
    base::run_checked({"ostree", "refs", "--repo=" + repository, "--create=atoll/stable", commit});
    base::run_checked({"ostree", "admin", "deploy", "--sysroot=" + paths.root, "--os=atoll",
                       "--karg=root=LABEL=atoll-root", fmt::format("--karg=atoll.rev={}", first_revision),
                       "atoll/stable"});
    base::GrubEnv env;
    env.set("ok", first_revision);
    env.store_in_place(paths.grub_env);
    boot();
}

std::map<std::string, std::string> Rig::entry(const std::string& file) const {
    std::map<std::string, std::string> values;
    const std::string text = base::read_file(file);
    for (std::size_t start = 0; start < text.size();) {
        const std::size_t end = std::min(text.find('\n', start), text.size());
        const std::string line = text.substr(start, end - start);
        if (const std::size_t space = line.find(' '); space != std::string::npos)
            values[line.substr(0, space)] = line.substr(space + 1);
        start = end + 1;
    }
    return values;
}

std::vector<std::string> Rig::entries() const {
    std::vector<std::string> files;
    for (const auto& file : std::filesystem::directory_iterator(paths.boot + "/loader/entries"))
        files.push_back(file.path());
    std::sort(files.rbegin(), files.rend()); // ostree-N-atoll.conf, N below 10 here: highest first
    std::vector<std::string> revisions;
    for (const std::string& file : files) {
        const auto values = entry(file);
        base::read_file(paths.boot + values.at("linux")); // GRUB would fail without them
        base::read_file(paths.boot + values.at("initrd"));
        revisions.push_back(updater::kernel_argument(values.at("options"), "atoll.rev"));
    }
    return revisions;
}

std::string Rig::options_of(const std::string& revision) const {
    for (const auto& file : std::filesystem::directory_iterator(paths.boot + "/loader/entries")) {
        const std::string options = entry(file.path()).at("options");
        if (updater::kernel_argument(options, "atoll.rev") == revision)
            return options;
    }
    throw base::Error("no entry of revision " + revision);
}

std::string Rig::deployment_of(const std::string& revision) const {
    const std::string link = paths.root + updater::kernel_argument(options_of(revision), "ostree");
    return std::filesystem::canonical(link);
}

std::string Rig::boot() {
    base::GrubEnv env = grub_env();
    const std::vector<std::string> order = entries();
    std::string chosen = order.at(0);
    if (chosen != env.get("ok")) {
        if (env.get("trial") != chosen) {
            env.set("trial", chosen);
            env.set("tries", "3");
        }
        const int tries = std::stoi(env.get("tries"));
        if (tries > 0) {
            env.set("tries", std::to_string(tries - 1));
        } else {
            const auto good = std::find(order.begin(), order.end(), env.get("ok"));
            chosen = good != order.end() ? *good : order.back();
        }
        env.store_in_place(paths.grub_env);
    }
    write_file(paths.command_line, options_of(chosen) + "\n");
    write_file(paths.boot_id, fmt::format("boot-{}\n", ++boots_));
    deployment_of(chosen);
    return chosen;
}

std::string Rig::booted_revision() const {
    return updater::kernel_argument(base::read_file(paths.command_line), "atoll.rev");
}

base::RunResult Rig::worker(std::vector<std::string> arguments) const {
    arguments.insert(arguments.begin(), {UPDATER_WORKER, "--root", paths.root});
    return base::run(arguments);
}

base::RunResult Rig::pull(std::vector<std::string> more) const {
    more.insert(more.begin(), {"pull", "--url", server->url(), "--ref", "atoll/stable"});
    return worker(std::move(more));
}

std::string Rig::last_line(const base::RunResult& run) {
    std::string text = run.output;
    while (!text.empty() && text.back() == '\n')
        text.pop_back();
    return text.substr(text.rfind('\n') + 1);
}

std::vector<std::string> Rig::listing() const {
    std::vector<std::string> names;
    for (auto item = std::filesystem::recursive_directory_iterator(paths.root);
         item != std::filesystem::recursive_directory_iterator(); ++item) {
        const std::string name = item->path().string().substr(paths.root.size());
        if (name.starts_with("/ostree/repo/tmp/") || name == "/ostree/repo/.lock" || name.starts_with("/ostree/lock"))
            continue;
        // What was seen of a repository is remembered, whatever comes of it.
        if (name == "/var/lib/atoll/updater/trust.json" || name == "/var/lib/atoll/updater/partial.json")
            continue;
        // The remote is added to the configuration once; empty fan-out directories stay.
        if (name == "/ostree/repo/config" || (name.starts_with("/ostree/repo/objects/") && item->is_directory()))
            continue;
        names.push_back(item->is_regular_file() && !item->is_symlink() ? fmt::format("{} {}", name, item->file_size())
                                                                       : name);
    }
    std::sort(names.begin(), names.end());
    return names;
}

std::vector<std::string> Rig::leftovers() const {
    std::vector<std::string> names;
    for (const std::string& top : {repository() + "/tmp", paths.delta_directory()}) {
        std::error_code error;
        for (const auto& item : std::filesystem::recursive_directory_iterator(top, error)) {
            const std::string name = item.path().string().substr(top.size() + 1);
            if (name != "cache" && !name.ends_with("-lock") &&
                !(item.is_directory() && std::filesystem::is_empty(item)))
                names.push_back(name);
        }
    }
    return names;
}

std::string Rig::key_file(const SigningKey& signer) const {
    const std::string path = directory + "/key-" + base::sha256_hex(signer.secret).substr(0, 8);
    base::write_durable(path, base::base64_encode(signer.secret + base::base64_decode(signer.public_base64)) + "\n",
                        0600);
    base::write_durable(path + ".pub", signer.public_base64 + "\n");
    return path;
}

std::string Rig::object_path(const std::string& server_commit, const std::string& file) const {
    const std::string listing =
        base::run_checked({"ostree", "ls", "-C", "--repo=" + directory + "/server", server_commit, file});
    // "-00644 0 0 size checksum path"
    const std::size_t name = listing.rfind(' ');
    const std::string digest = listing.substr(name - 64, 64);
    if (!base::is_sha256_hex(digest))
        throw base::Error("no digest in " + listing);
    return directory + "/server/objects/" + digest.substr(0, 2) + "/" + digest.substr(2) + ".filez";
}

} // namespace updater_test
