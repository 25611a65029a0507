#include <sys/stat.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>

#include <CLI/CLI.hpp>

#include "base/command_line.hpp"
#include "base/error.hpp"
#include "base/files.hpp"
#include "base/json.hpp"
#include "base/log.hpp"
#include "image/build.hpp"
#include "image/container.hpp"
#include "image/packages.hpp"
#include "image/signing_key.hpp"
#include "image/size_report.hpp"
#include "image/spec.hpp"
#include "publish_commands.hpp"

namespace {

std::string default_cache() {
    if (const char* directory = std::getenv("XDG_CACHE_HOME"); directory != nullptr && *directory != '\0')
        return std::string(directory) + "/atoll";
    const char* home = std::getenv("HOME");
    return std::string(home != nullptr && *home != '\0' ? home : "/var/tmp") + "/.cache/atoll";
}

void print_result(const image::BuildResult& result, bool as_json) {
    if (!as_json) {
        std::printf("%s", result.sizes.c_str());
        std::printf("%s %s\n  ref     %s\n  commit  %s\n", result.name.c_str(), result.version.c_str(),
                    result.ref.c_str(), result.commit.c_str());
        if (!result.revision.empty())
            std::printf("  rev     %s\n", result.revision.c_str());
        for (const std::string& path : result.outputs)
            std::printf("  wrote   %s\n", path.c_str());
        return;
    }
    base::json::array outputs;
    for (const std::string& path : result.outputs)
        outputs.emplace_back(path);
    const base::json::object object{
        {"name", result.name},          {"version", result.version}, {"ref", result.ref},
        {"commit", result.commit},      {"rev", result.revision},    {"sizes", result.sizes},
        {"outputs", std::move(outputs)}};
    std::printf("%s\n", base::json::serialize(object).c_str());
}

struct Arguments {
    image::BuildOptions build;
    bool json = false;
    bool container = false;
    std::string yaml;
    std::string output;
    std::string file;
};

void add_cache_options(CLI::App& command, image::BuildOptions& options) {
    command.add_option("--cache", options.cache, "what can be made again: packages, unpacked trees, objects")
        ->default_val(default_cache());
    command.add_option("--pool", options.pool, "directory of package files (default: CACHE/pool)");
}

void add_build(CLI::App& app, Arguments& arguments) {
    CLI::App* command = app.add_subcommand("build", "make the OS tree, the signed commit, the disk and the repository");
    image::BuildOptions& options = arguments.build;
    command->add_option("yaml", options.yaml, "the image's YAML")->required();
    command->add_option("-o,--output", options.output, "directory for repo/, disk.raw, disk.qcow2")->required();
    command->add_option("--bin-dir", options.bin_dir, "where our programs are")->default_val("build/release/bin");
    add_cache_options(*command, options);
    command->add_option("--version", options.version, "instead of the YAML's");
    command
        ->add_option("--timestamp", options.timestamp,
                     "of the commit, in seconds since 1970 (default: the YAML's, else the lock's)")
        ->envname("SOURCE_DATE_EPOCH");
    command->add_option("--key", options.keys, "secret key to sign with (repeatable)");
    image::add_channel_options(*command, options.channel);
    command->add_option("--karg", options.kernel_arguments, "kernel argument added to the YAML's (repeatable)");
    command->add_flag("--no-disk{false}", options.disk, "only the commit: a new version in an existing repository");
    command->add_flag("--qcow2", options.qcow2, "also the disk as qcow2");
    command->add_flag("--measure", options.measure, "also the compressed size of the tree (a minute)");
    command->add_flag("--relock", options.relock,
                      "when the mirror has dropped locked packages, take its versions of today");
    command->add_flag("--json", arguments.json, "print the result as JSON");
    command->callback([&arguments] { print_result(image::build_image(arguments.build), arguments.json); });
}

void add_lock(CLI::App& app, Arguments& arguments) {
    CLI::App* command = app.add_subcommand("lock", "write the YAML's lock file anew from what apt knows");
    command->add_option("yaml", arguments.yaml, "an image's or container's YAML")->required();
    command->add_flag("--container", arguments.container, "the YAML is a container's");
    command->callback([&arguments] {
        const image::BaseSpec spec = arguments.container ? image::load_container_spec(arguments.yaml).base
                                                         : image::load_image_spec(arguments.yaml).base;
        const image::Lock lock = image::resolve_with_apt(spec);
        base::write_durable(spec.lock_path, image::format_lock(lock));
        std::printf("%s: %zu packages\n", spec.lock_path.c_str(), lock.packages.size());
    });
}

void add_keygen(CLI::App& app, Arguments& arguments) {
    CLI::App* command = app.add_subcommand("keygen", "make an ed25519 key: FILE (secret) and FILE.pub");
    command->add_option("file", arguments.file, "the secret key's file")->required();
    command->callback([&arguments] {
        if (std::filesystem::exists(arguments.file))
            throw base::Error(EEXIST, arguments.file);
        const image::SigningKey key = image::SigningKey::generate();
        base::write_durable(arguments.file, key.secret_key_base64() + "\n", 0600);
        base::write_durable(arguments.file + ".pub", key.public_key_base64() + "\n");
        std::printf("%s\n", key.public_key_base64().c_str());
    });
}

void add_container(CLI::App& app, Arguments& arguments) {
    CLI::App* command =
        app.add_subcommand("container", "pack a container image as a docker-archive, for `docker load`");
    command->add_option("yaml", arguments.yaml, "the container's YAML")->required();
    command->add_option("-o,--output", arguments.output, "the archive's file")->required();
    command->add_option("--bin-dir", arguments.build.bin_dir, "where our programs are")
        ->default_val("build/release/bin");
    add_cache_options(*command, arguments.build);
    command->callback([&arguments] {
        ::umask(022);
        const image::ContainerSpec spec = image::load_container_spec(arguments.yaml);
        const image::Cache cache(arguments.build.cache);
        const image::PackagePool pool(arguments.build.pool.empty() ? cache.pool() : arguments.build.pool);
        base::write_durable(arguments.output, image::build_container(spec, arguments.build.bin_dir, pool, cache));
    });
}

void add_inspect(CLI::App& app, Arguments& arguments) {
    CLI::App* command = app.add_subcommand("inspect", "say how large a directory tree is and what weighs most");
    command->add_option("directory", arguments.file, "e.g. a checkout of a commit")->required();
    command->add_flag("--measure", arguments.build.measure, "also its compressed size");
    command->callback(
        [&arguments] { std::printf("%s", image::size_report(arguments.file, arguments.build.measure).c_str()); });
}

} // namespace

int main(int argc, char** argv) {
    base::log_init("mkimage");
    return base::run_main("mkimage", [&] {
        CLI::App app(
            "Makes Atoll's OS images: Debian packages by a lock file, our programs and files, in; a signed ostree "
            "commit, a bootable disk and an update repository, out.");
        app.set_version_flag("--version", base::version());
        app.require_subcommand(1);
        Arguments arguments;
        add_build(app, arguments);
        add_lock(app, arguments);
        add_keygen(app, arguments);
        add_container(app, arguments);
        add_inspect(app, arguments);
        image::PublishArguments publish;
        image::add_publish_commands(app, publish);
        try {
            app.parse(argc, argv);
        } catch (const CLI::ParseError& error) {
            return base::end_of_parse(app, error);
        }
        return 0;
    });
}
