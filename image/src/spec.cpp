#include "image/spec.hpp"

#include <algorithm>
#include <filesystem>
#include <regex>

#include "base/config_reader.hpp"
#include "image/tree_path.hpp"

namespace image {
namespace {

namespace fs = std::filesystem;

constexpr int max_extends = 8;

void append(std::vector<std::string>& to, std::vector<std::string> more) {
    to.insert(to.end(), std::make_move_iterator(more.begin()), std::make_move_iterator(more.end()));
}

/// One YAML file being read into a spec that may hold what it extends already.
class SpecReader {
public:
    explicit SpecReader(const std::string& path)
        : document_(base::ConfigDocument::from_file(path)), directory_(fs::path(path).parent_path()) {}

    void read_image(ImageSpec& spec, int depth);
    void read_container_file(ContainerSpec& spec);

private:
    std::string beside(const std::string& path) const { return (directory_ / path).lexically_normal().string(); }
    std::string existing(base::ConfigMap& map, const std::string& key, const std::string& value) const;
    static std::string clean(const base::ConfigMap& map, const std::string& path);
    void read_base(base::ConfigMap& map, BaseSpec& base);
    static void read_kernel(base::ConfigMap kernel, BaseSpec& base);
    static void read_stubs(base::ConfigMap& map, BaseSpec& base);
    void read_files(base::ConfigMap& map, std::vector<FileRule>& files);
    FileRule read_file_rule(base::ConfigMap& map);
    void read_links(base::ConfigMap& map, std::vector<LinkRule>& links);
    void read_container(base::ConfigMap& map, ContainerSpec& spec);
    void read_disk(base::ConfigMap disk, DiskSpec& spec);
    static void read_identity(base::ConfigMap& root, ImageSpec& spec);
    static void read_timestamp(base::ConfigMap& map, std::optional<std::int64_t>& timestamp);

    base::ConfigDocument document_;
    fs::path directory_;
};

std::string SpecReader::existing(base::ConfigMap& map, const std::string& key, const std::string& value) const {
    std::string path = beside(value);
    if (std::error_code error; !fs::exists(path, error))
        map.problem(key + ": no such file: " + path);
    return path;
}

std::string SpecReader::clean(const base::ConfigMap& map, const std::string& path) {
    try {
        std::string result = clean_path(path);
        if (result.empty())
            map.problem("expected a path below /");
        return result;
    } catch (const base::Error& error) {
        map.problem(error.what());
        return {};
    }
}

void SpecReader::read_timestamp(base::ConfigMap& map, std::optional<std::int64_t>& timestamp) {
    if (const auto value = map.optional_int("timestamp", 0, 253402300799)) // to the year 9999
        timestamp = value;
}

void SpecReader::read_stubs(base::ConfigMap& map, BaseSpec& base) {
    static const std::regex symbol_pattern("[A-Za-z_][A-Za-z0-9_]*");
    static const std::regex name_pattern(R"(lib[A-Za-z0-9_+-]+\.so(\.[0-9]+)*)");
    for (base::ConfigMap& entry : map.optional_maps("stub_libraries")) {
        StubLibrary stub{entry.required_string("name"), entry.required_strings("symbols")};
        entry.finish();
        if (!std::regex_match(stub.name, name_pattern))
            entry.problem("expected a library name like libfoo.so.1");
        for (const std::string& symbol : stub.symbols) {
            if (!std::regex_match(symbol, symbol_pattern))
                entry.problem("\"" + symbol + "\" is not a symbol");
        }
        base.stubs.push_back(std::move(stub));
    }
}

void SpecReader::read_kernel(base::ConfigMap kernel, BaseSpec& base) {
    append(base.modules, kernel.optional_strings("modules"));
    append(base.loaded_modules, kernel.optional_strings("load"));
    append(base.initramfs_modules, kernel.optional_strings("initramfs"));
    kernel.finish();
}

void SpecReader::read_base(base::ConfigMap& map, BaseSpec& base) {
    if (const auto lock = map.optional_string("lock"))
        base.lock_path = beside(*lock);
    append(base.packages, map.optional_strings("packages"));
    append(base.without, map.optional_strings("without"));
    append(base.drop, map.optional_strings("drop"));
    append(base.keep, map.optional_strings("keep"));
    read_stubs(map, base);
    if (const auto kernel = map.optional_map("kernel"))
        read_kernel(*kernel, base);
}

FileRule SpecReader::read_file_rule(base::ConfigMap& map) {
    FileRule rule;
    rule.target = clean_path("/");
    if (const std::string target = map.required_string("target"); target != "/")
        rule.target = clean(map, target);
    const auto source = map.optional_string("source");
    const auto program = map.optional_string("program");
    const auto text = map.optional_string("text");
    const auto link = map.optional_string("link");
    if (!!source + !!program + !!text + !!link != 1) {
        map.problem("expected exactly one of source, program, text, link");
    } else if (source) {
        rule.source = existing(map, "source", *source);
    } else {
        rule.kind = program ? FileRule::Kind::program : text ? FileRule::Kind::text : FileRule::Kind::symlink;
        rule.source = program ? *program : text ? *text : *link;
    }
    if (program && (program->empty() || program->find('/') != std::string::npos))
        map.problem("program: expected a name, not a path");
    if (rule.target.empty() && !source)
        map.problem("target: only a directory can be put at /");
    if (const auto mode = map.optional_string("mode")) {
        if (!std::regex_match(*mode, std::regex("0[0-7]{3}")))
            map.problem("mode: expected four octal digits such as \"0644\"; there are no setuid files here");
        else
            rule.mode = static_cast<mode_t>(std::stoul(*mode, nullptr, 8));
    }
    map.finish();
    return rule;
}

void SpecReader::read_files(base::ConfigMap& map, std::vector<FileRule>& files) {
    for (base::ConfigMap& entry : map.optional_maps("files"))
        files.push_back(read_file_rule(entry));
}

void SpecReader::read_links(base::ConfigMap& map, std::vector<LinkRule>& links) {
    for (base::ConfigMap& entry : map.optional_maps("links")) {
        LinkRule rule;
        rule.target = entry.required_string("target");
        rule.directory = clean(entry, entry.required_string("directory"));
        rule.names = entry.required_strings("names");
        for (const std::string& name : rule.names) {
            if (name.empty() || name.find('/') != std::string::npos)
                entry.problem("names: \"" + name + "\" is not a file name");
        }
        entry.finish();
        links.push_back(std::move(rule));
    }
}

void SpecReader::read_container(base::ConfigMap& map, ContainerSpec& spec) {
    spec.name = map.required_string("name");
    spec.command = map.required_strings("command");
    spec.environment = map.optional_strings("environment");
    read_files(map, spec.files);
    read_links(map, spec.links);
}

void SpecReader::read_disk(base::ConfigMap disk, DiskSpec& spec) {
    constexpr std::uint64_t mebibyte = 1ULL << 20;
    spec.size = disk.optional_size("size").value_or(spec.size);
    spec.esp_size = disk.optional_size("esp_size").value_or(spec.esp_size);
    spec.boot_size = disk.optional_size("boot_size").value_or(spec.boot_size);
    if (const auto boot_files = disk.optional_string("boot_files"))
        spec.boot_files = existing(disk, "boot_files", *boot_files);
    spec.boot_mark = disk.optional_string("boot_mark").value_or(spec.boot_mark);
    disk.finish();
    if (spec.boot_mark.find_first_of("\n\r") != std::string::npos)
        disk.problem("boot_mark: more than a line");
    if (spec.size % mebibyte != 0 || spec.esp_size % mebibyte != 0 || spec.boot_size % mebibyte != 0)
        disk.problem("sizes must be whole MiB");
    else if (spec.esp_size < 8 * mebibyte || spec.boot_size < 64 * mebibyte || spec.size < 512 * mebibyte ||
             spec.size - 256 * mebibyte < spec.esp_size + spec.boot_size)
        disk.problem("too small: at least 8MiB of esp_size, 64MiB of boot_size, and 256MiB left of size for the root");
}

void SpecReader::read_identity(base::ConfigMap& root, ImageSpec& spec) {
    static const std::regex name_pattern("[a-z][a-z0-9-]*");
    static const std::regex ref_pattern("[A-Za-z0-9_][A-Za-z0-9_.-]*(/[A-Za-z0-9_][A-Za-z0-9_.-]*)*");
    spec.name = root.optional_string("name").value_or(spec.name);
    spec.version = root.optional_string("version").value_or(spec.version);
    spec.ref = root.optional_string("ref").value_or(spec.ref);
    read_timestamp(root, spec.timestamp);
    if (!std::regex_match(spec.name, name_pattern))
        root.problem("name: expected lower-case letters, digits and dashes");
    if (!is_safe_version(spec.version))
        root.problem("version: expected letters, digits and any of \".-+_~\"");
    if (!std::regex_match(spec.ref, ref_pattern))
        root.problem("ref: expected an ostree ref such as atoll/x86_64/stable");
}

void SpecReader::read_image(ImageSpec& spec, int depth) {
    base::ConfigMap root = document_.root();
    if (const auto parent = root.optional_string("extends")) {
        if (depth >= max_extends)
            root.problem("extends: more than " + std::to_string(max_extends) + " levels; does it extend itself?");
        else
            SpecReader(beside(*parent)).read_image(spec, depth + 1);
    }
    read_identity(root, spec);
    read_base(root, spec.base);
    append(spec.programs, root.optional_strings("programs"));
    read_files(root, spec.files);
    read_links(root, spec.links);
    for (const std::string& path : root.optional_strings("remove"))
        spec.remove.push_back(clean(root, path));
    for (base::ConfigMap& entry : root.optional_maps("containers")) {
        ContainerSpec container;
        read_container(entry, container);
        container.output = clean(entry, entry.required_string("output"));
        entry.finish();
        spec.containers.push_back(std::move(container));
    }
    append(spec.kernel_arguments, root.optional_strings("kernel_arguments"));
    for (const std::string& argument : spec.kernel_arguments) {
        if (!is_safe_for_grub(argument) || argument.find(' ') != std::string::npos)
            root.problem("kernel_arguments: \"" + argument +
                         "\" has blanks, quotes or characters that GRUB's scripts treat specially");
    }
    for (const std::string& path : root.optional_strings("trusted_keys"))
        spec.trusted_keys.push_back(existing(root, "trusted_keys", path));
    if (const auto disk = root.optional_map("disk"))
        read_disk(*disk, spec.disk);
    if (spec.base.lock_path.empty())
        root.problem("lock: missing");
    root.finish();
    document_.throw_problems();
}

void SpecReader::read_container_file(ContainerSpec& spec) {
    base::ConfigMap root = document_.root();
    read_base(root, spec.base);
    read_container(root, spec);
    read_timestamp(root, spec.timestamp);
    if (!spec.base.packages.empty() && spec.base.lock_path.empty())
        root.problem("lock: missing");
    root.finish();
    document_.throw_problems();
}

} // namespace

ImageSpec load_image_spec(const std::string& path) {
    ImageSpec spec;
    SpecReader(path).read_image(spec, 0);
    return spec;
}

ContainerSpec load_container_spec(const std::string& path) {
    ContainerSpec spec;
    SpecReader(path).read_container_file(spec);
    return spec;
}

bool is_safe_for_grub(const std::string& value) noexcept {
    return std::none_of(value.begin(), value.end(), [](unsigned char c) {
        return c < 0x20 || c >= 0x7f ||
               std::string_view(";$&|<>{}'\"\\`#").find(static_cast<char>(c)) != std::string_view::npos;
    });
}

bool is_safe_version(const std::string& version) noexcept {
    return !version.empty() && std::all_of(version.begin(), version.end(), [](unsigned char c) {
        return std::isalnum(c) != 0 || std::string_view(".-+_~").find(static_cast<char>(c)) != std::string_view::npos;
    });
}

} // namespace image
