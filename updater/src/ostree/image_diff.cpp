#include "image_diff.hpp"

#include <map>

#include "updater/boot_text.hpp"

namespace updater {

namespace json = base::json;

namespace {

constexpr const char* package_list = "usr/lib/atoll/packages";
constexpr std::size_t max_package_list = 4 * 1024 * 1024;

json::object diff_packages(const std::optional<std::string>& before, const std::optional<std::string>& after) {
    json::array added, removed, changed;
    const auto old = parse_package_list(before.value_or(""));
    const auto next = parse_package_list(after.value_or(""));
    if (before && after) {
        for (const auto& [name, version] : next) {
            const auto found = old.find(name);
            if (found == old.end())
                added.push_back(json::object{{"name", name}, {"version", version}});
            else if (found->second != version)
                changed.push_back(json::object{{"name", name}, {"from", found->second}, {"to", version}});
        }
        for (const auto& [name, version] : old) {
            if (!next.contains(name))
                removed.push_back(json::object{{"name", name}, {"version", version}});
        }
    }
    return {{"listed", before && after},
            {"added", std::move(added)},
            {"removed", std::move(removed)},
            {"changed", std::move(changed)}};
}

class FileList {
public:
    FileList(GFile* root, std::size_t limit) : root_(root), limit_(limit) {}
    void add(GFile* file) {
        const GString path(g_file_get_relative_path(root_, file));
        names_.push_back("/" + plain_text(path ? path.get() : "", 4096));
    }
    json::array take() {
        std::sort(names_.begin(), names_.end());
        json::array array;
        for (std::size_t index = 0; index < std::min(names_.size(), limit_); ++index)
            array.emplace_back(names_[index]);
        return array;
    }
    bool cut() const noexcept { return names_.size() > limit_; }

private:
    GFile* root_;
    std::size_t limit_;
    std::vector<std::string> names_;
};

} // namespace

std::map<std::string, std::string> parse_package_list(std::string_view text) {
    std::map<std::string, std::string> packages;
    while (!text.empty()) {
        const std::size_t end = std::min(text.find('\n'), text.size());
        const std::string_view line = text.substr(0, end);
        text.remove_prefix(std::min(end + 1, text.size()));
        const std::size_t space = line.find(' ');
        if (space != std::string_view::npos && space > 0 && space + 1 < line.size())
            packages[plain_text(line.substr(0, space), 200)] = plain_text(line.substr(space + 1), 200);
    }
    return packages;
}

json::object diff_images(const Repository& repository, const std::string& from, const std::string& to,
                         std::size_t limit) {
    const GOwner<GFile> before = repository.open_path(from, "");
    const GOwner<GFile> after = repository.open_path(to, "");
    const GPtrArrayOwner modified(g_ptr_array_new_with_free_func(
        [](gpointer item) { ostree_diff_item_unref(static_cast<OstreeDiffItem*>(item)); }));
    const GPtrArrayOwner removed(g_ptr_array_new_with_free_func(g_object_unref));
    const GPtrArrayOwner added(g_ptr_array_new_with_free_func(g_object_unref));
    Failure failure;
    if (!ostree_diff_dirs(OSTREE_DIFF_FLAGS_NONE, before.get(), after.get(), modified.get(), removed.get(), added.get(),
                          nullptr, failure))
        failure.raise(fmt::format("compare commit {} with {}", from, to));
    FileList changed_files(before.get(), limit);
    FileList removed_files(before.get(), limit);
    FileList added_files(after.get(), limit);
    for (guint index = 0; index < modified->len; ++index)
        changed_files.add(static_cast<OstreeDiffItem*>(g_ptr_array_index(modified.get(), index))->src);
    for (guint index = 0; index < removed->len; ++index)
        removed_files.add(static_cast<GFile*>(g_ptr_array_index(removed.get(), index)));
    for (guint index = 0; index < added->len; ++index)
        added_files.add(static_cast<GFile*>(g_ptr_array_index(added.get(), index)));
    const bool cut = changed_files.cut() || removed_files.cut() || added_files.cut();
    return {{"packages", diff_packages(repository.read_file(from, package_list, max_package_list),
                                       repository.read_file(to, package_list, max_package_list))},
            {"files", json::object{{"added", added_files.take()},
                                   {"removed", removed_files.take()},
                                   {"modified", changed_files.take()},
                                   {"cut", cut}}}};
}

} // namespace updater
