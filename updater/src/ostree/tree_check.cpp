#include "tree_check.hpp"

#include <climits>
#include <map>
#include <set>

#include "base/sha256.hpp"
#include "updater/boot_text.hpp"

namespace updater {

namespace {

class TreeCheck {
public:
    TreeCheck(OstreeRepo* repo, std::string commit) : repo_(repo), commit_(std::move(commit)) {}

    struct Size {
        unsigned depth = 1;
        std::uint64_t entries = 1;
    };
    Size measure(const std::string& checksum, unsigned level) {
        if (const auto known = known_.find(checksum); known != known_.end())
            return known->second;
        if (level > max_tree_depth)
            throw base::Error(fmt::format("commit {}: directories deeper than {}", commit_, max_tree_depth));
        const GVariantOwner tree = load(OSTREE_OBJECT_TYPE_DIR_TREE, checksum);
        const GVariantOwner files(g_variant_get_child_value(tree.get(), 0));
        const GVariantOwner directories(g_variant_get_child_value(tree.get(), 1));
        std::set<std::string> names;
        Size size;
        for (gsize index = 0; index < g_variant_n_children(files.get()); ++index) {
            const GVariantOwner entry(g_variant_get_child_value(files.get(), index));
            take_name(entry.get(), checksum, names);
        }
        size.entries += names.size();
        for (gsize index = 0; index < g_variant_n_children(directories.get()); ++index) {
            const GVariantOwner entry(g_variant_get_child_value(directories.get(), index));
            take_name(entry.get(), checksum, names);
            const GVariantOwner digest(g_variant_get_child_value(entry.get(), 1));
            const Size below = measure(hex_of(digest.get()), level + 1);
            size.depth = std::max(size.depth, below.depth + 1);
            size.entries += below.entries;
            if (size.entries > max_tree_entries)
                throw base::Error(fmt::format("commit {}: more than {} files", commit_, max_tree_entries));
        }
        if (level + size.depth > max_tree_depth + 1)
            throw base::Error(fmt::format("commit {}: directories deeper than {}", commit_, max_tree_depth));
        known_[checksum] = size;
        return size;
    }

    GVariantOwner load(OstreeObjectType type, const std::string& checksum) const {
        Failure failure;
        GVariant* object = nullptr;
        if (!ostree_repo_load_variant(repo_, type, checksum.c_str(), &object, failure))
            failure.raise("read object " + checksum);
        return GVariantOwner(object);
    }

    static std::string hex_of(GVariant* bytes) {
        gsize size = 0;
        const auto* data = static_cast<const std::uint8_t*>(g_variant_get_fixed_array(bytes, &size, 1));
        return base::to_hex({data, size});
    }

private:
    void take_name(GVariant* entry, const std::string& tree, std::set<std::string>& names) const {
        const char* text = nullptr;
        g_variant_get_child(entry, 0, "&s", &text);
        const std::string name = text;
        if (name.empty() || name == "." || name == ".." || name.find('/') != std::string::npos ||
            name.size() > NAME_MAX || !names.insert(name).second)
            throw base::Error(fmt::format("commit {}: directory {}: '{}' is not a name, or twice there", commit_, tree,
                                          plain_text(name, NAME_MAX)));
    }

    OstreeRepo* repo_;
    std::string commit_;
    std::map<std::string, Size> known_;
};

} // namespace

void check_tree(const Repository& repository, const std::string& commit) {
    TreeCheck check(repository.get(), commit);
    const GVariantOwner object = check.load(OSTREE_OBJECT_TYPE_COMMIT, commit);
    constexpr gsize root_tree = 6;
    const GVariantOwner root(g_variant_get_child_value(object.get(), root_tree));
    check.measure(TreeCheck::hex_of(root.get()), 1);
}

} // namespace updater
