#include "crash/deployments.hpp"

#include <glib.h>

#include "base/error.hpp"
#include "base/json.hpp"
#include "base/sha256.hpp"

namespace crash {
namespace {

constexpr const char* repository_objects = "/ostree/repo/objects";
constexpr const char* deploy_directory = "/ostree/deploy/atoll/deploy";
constexpr const char* var_directory = "/ostree/deploy/atoll/var";
constexpr std::size_t digits = 64;

void append_big_32(std::string& to, std::uint32_t value) {
    for (int shift = 24; shift >= 0; shift -= 8)
        to += static_cast<char>(value >> shift);
}

// The GVariant (uuuusa(ayay)) of a file's owner, mode and link target without extended attributes, as ostree hashes it
// before the content: size, padding to 8 bytes, then the value with its one framing offset.
std::string ostree_header(const FileStatus& file, const std::string& target) {
    std::string value;
    append_big_32(value, file.uid);
    append_big_32(value, file.gid);
    append_big_32(value, file.mode);
    append_big_32(value, 0);
    value += target + '\0';
    const std::size_t end_of_target = value.size();
    value += static_cast<char>(end_of_target & 0xffU);
    if (end_of_target + 1 > 0xff)
        value += static_cast<char>(end_of_target >> 8U);
    std::string header;
    append_big_32(header, static_cast<std::uint32_t>(value.size()));
    header.append(4, '\0');
    return header + value;
}

using Variant = std::unique_ptr<GVariant, decltype(&g_variant_unref)>;

Variant parse(const std::string& bytes, const char* type) {
    GBytes* owned = g_bytes_new(bytes.data(), bytes.size());
    Variant value(g_variant_ref_sink(g_variant_new_from_bytes(G_VARIANT_TYPE(type), owned, FALSE)), g_variant_unref);
    g_bytes_unref(owned);
    if (!g_variant_is_normal_form(value.get()))
        throw base::Error("not a normal GVariant");
    return value;
}

std::string checksum_of(GVariant* bytes) {
    gsize size = 0;
    const auto* data = static_cast<const std::uint8_t*>(g_variant_get_fixed_array(bytes, &size, 1));
    return base::to_hex(std::span(data, size));
}

} // namespace

/// A directory of a commit.
struct RootReader::Tree {
    std::map<std::string, std::string> files; ///< name -> checksum of its object
    struct Directory {
        std::string tree;
        std::string meta;
    };
    std::map<std::string, Directory> directories;
};

const std::string& RootReader::digest(const Ext4& root, const FileStatus& file, bool with_header) {
    std::uint64_t key = root.content_key(file.inode);
    if (with_header)
        key = mix(key, mix(file.uid, file.gid) + 1);
    const auto [found, is_new] = digests_.try_emplace(key);
    if (is_new) {
        base::Sha256 sum;
        if (with_header)
            sum.update(ostree_header(file, file.link() ? root.link_target(file.inode) : std::string()));
        if (!file.link())
            sum.update(root.read(file.inode, 256UL << 20U));
        found->second = sum.finish_hex();
    }
    return found->second;
}

/// One look at one state.
struct RootReader::Pass {
    RootReader& reader;
    const Ext4& root;
    RootView view;
    std::unordered_map<std::string, Inode> objects; ///< "CHECKSUM.type" -> inode, all found right

    void read_repository() {
        const std::optional<Inode> top = root.resolve(repository_objects);
        if (!top)
            throw base::Error("no repository");
        for (const Name& part : list(*top))
            for (const Name& name : list(part.inode))
                read_object(part.name + name.name, name.inode);
    }
    void read_object(const std::string& name, Inode inode) {
        const std::size_t dot = name.find('.');
        const std::string type = name.substr(std::min(dot + 1, name.size()));
        if (dot != digits || type == "commitmeta" || type == "commitpartial" || type == "sizes2")
            return;
        const FileStatus file = root.status(inode);
        if (reader.digest(root, file, type == "file") != name.substr(0, digits) || file.has_attributes)
            view.damage.push_back("repository: object " + name + " is damaged");
        else
            objects.emplace(name, inode);
    }
    const std::vector<Name>& list(Inode directory) {
        const auto [found, is_new] = reader.lists_.try_emplace(root.content_key(directory));
        if (is_new)
            found->second = root.list(directory);
        return found->second;
    }
    std::string object(const std::string& name) {
        const auto found = objects.find(name);
        if (found == objects.end())
            throw base::Error("object " + name + " is missing");
        return root.read(found->second);
    }
    const Tree& tree(const std::string& checksum) {
        if (!objects.contains(checksum + ".dirtree"))
            throw base::Error("object " + checksum + ".dirtree is missing");
        std::shared_ptr<Tree>& known = reader.trees_[checksum];
        if (known)
            return *known;
        auto made = std::make_shared<Tree>();
        const Variant value = parse(object(checksum + ".dirtree"), "(a(say)a(sayay))");
        const Variant files(g_variant_get_child_value(value.get(), 0), g_variant_unref);
        for (gsize i = 0; i < g_variant_n_children(files.get()); ++i) {
            const Variant item(g_variant_get_child_value(files.get(), i), g_variant_unref);
            const Variant name(g_variant_get_child_value(item.get(), 0), g_variant_unref);
            const Variant sum(g_variant_get_child_value(item.get(), 1), g_variant_unref);
            made->files[g_variant_get_string(name.get(), nullptr)] = checksum_of(sum.get());
        }
        const Variant directories(g_variant_get_child_value(value.get(), 1), g_variant_unref);
        for (gsize i = 0; i < g_variant_n_children(directories.get()); ++i) {
            const Variant item(g_variant_get_child_value(directories.get(), i), g_variant_unref);
            const Variant name(g_variant_get_child_value(item.get(), 0), g_variant_unref);
            const Variant sum(g_variant_get_child_value(item.get(), 1), g_variant_unref);
            const Variant meta(g_variant_get_child_value(item.get(), 2), g_variant_unref);
            made->directories[g_variant_get_string(name.get(), nullptr)] = {checksum_of(sum.get()),
                                                                            checksum_of(meta.get())};
        }
        known = made;
        return *known;
    }

    /// The deployed directory is the commit's: every name, owner, mode and content, and nothing else.
    void compare(Inode directory, const Tree& expected, const std::string& path) {
        const std::vector<Name>& names = list(directory);
        std::size_t seen = 0;
        for (const Name& name : names) {
            const std::string where = path + "/" + name.name;
            if (const auto file = expected.files.find(name.name); file != expected.files.end()) {
                const auto object = objects.find(file->second + ".file");
                if (object == objects.end())
                    throw base::Error(where + ": object " + file->second + " is missing");
                // libostree links, and copies what is empty.
                if (object->second != name.inode && reader.digest(root, root.status(name.inode), true) != file->second)
                    throw base::Error(where + " is not what the commit says");
                ++seen;
            } else if (const auto below = expected.directories.find(name.name); below != expected.directories.end()) {
                if (!objects.contains(below->second.meta + ".dirmeta") || !root.status(name.inode).directory())
                    throw base::Error(where + ": no directory, or its object is missing");
                compare(name.inode, tree(below->second.tree), where);
                ++seen;
            } else if (where != "/etc") {
                throw base::Error(where + " is not in the commit");
            }
        }
        if (seen != expected.files.size() + expected.directories.size())
            throw base::Error((path.empty() ? "/" : path) + ": something of the commit is missing");
    }

    void add_etc(base::Sha256& sum, Inode directory, const std::string& path) {
        for (const Name& name : root.list(directory)) {
            const FileStatus file = root.status(name.inode);
            sum.update(fmt::format("{}/{} {:o} {} {}", path, name.name, file.mode, file.uid, file.gid) + '\0');
            if (file.directory())
                add_etc(sum, name.inode, path + "/" + name.name);
            else if (file.link())
                sum.update(root.link_target(name.inode) + '\0');
            else if (file.regular())
                sum.update(reader.digest(root, file, false));
        }
    }

    DeploymentView look_at_deployment(const std::string& name, Inode directory) {
        DeploymentView deployment{
            .commit = name.substr(0, std::min(name.find('.'), name.size())), .damage = {}, .etc = {}};
        try {
            const Variant commit = parse(object(deployment.commit + ".commit"), "(a{sv}aya(say)sstayay)");
            const Variant tree_sum(g_variant_get_child_value(commit.get(), 6), g_variant_unref);
            compare(directory, tree(checksum_of(tree_sum.get())), "");
            const std::optional<Inode> etc = root.find(directory, "etc");
            if (!etc)
                throw base::Error("no /etc");
            base::Sha256 sum;
            add_etc(sum, *etc, "");
            deployment.etc = sum.finish_hex();
            if (!root.resolve(fmt::format("{}/{}.origin", deploy_directory, name)))
                throw base::Error("no origin file");
        } catch (const std::exception& error) {
            deployment.damage = base::error_chain(error);
        }
        return deployment;
    }

    /// What `ostree=/ostree/boot.N/OS/CHECKSUM/SERIAL` can lead to.
    void read_links() {
        const std::optional<Inode> top = root.resolve("/ostree");
        if (!top)
            throw base::Error("no /ostree");
        for (const char* version : {"boot.0", "boot.1"}) {
            const std::optional<Inode> systems = root.resolve(fmt::format("/ostree/{}", version));
            if (!systems)
                continue;
            for (const Name& system : root.list(*systems))
                for (const Name& kernel : root.list(system.inode))
                    for (const Name& link : root.list(kernel.inode)) {
                        if (!root.status(link.inode).link())
                            continue;
                        const std::string target = root.link_target(link.inode);
                        const std::optional<Inode> directory = root.resolve(target, kernel.inode);
                        if (!directory || !root.status(*directory).directory())
                            continue;
                        const std::string name = target.substr(target.rfind('/') + 1);
                        view.links[fmt::format("/ostree/{}/{}/{}/{}", version, system.name, kernel.name, link.name)] =
                            name;
                        if (!view.deployments.contains(name))
                            view.deployments[name] = look_at_deployment(name, *directory);
                    }
        }
    }

    void read_var() {
        for (const auto& [path, content] : reader.required) {
            if (!has(root, path, content))
                view.damage.push_back("/var/" + path + " is not what was synced");
        }
        if (const auto record = root.resolve(fmt::format("{}/lib/atoll/updater/state.json", var_directory))) {
            try {
                base::parse_json(root.read(*record), "the updater's record");
            } catch (const std::exception& error) {
                view.damage.push_back(base::error_chain(error));
            }
        }
    }
};

bool RootReader::has(const Ext4& root, const std::string& path, const std::string& content) {
    const std::optional<Inode> found = root.resolve(fmt::format("{}/{}", var_directory, path));
    return found && root.read(*found) == content;
}

RootView RootReader::read(const Ext4& root) {
    Pass pass{.reader = *this, .root = root, .view = {}, .objects = {}};
    for (const auto step : {&Pass::read_repository, &Pass::read_links, &Pass::read_var}) {
        try {
            (pass.*step)();
        } catch (const std::exception& error) {
            pass.view.damage.push_back(base::error_chain(error));
        }
    }
    return pass.view;
}

} // namespace crash
