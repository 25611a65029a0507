#include "base/json.hpp"
#include "record_json.hpp"
#include "report.hpp"

namespace updater {

namespace {

void list(std::string& out, const std::string& title, const std::vector<std::string>& lines) {
    if (lines.empty())
        return;
    out += fmt::format("{} ({})\n", title, lines.size());
    for (const std::string& line : lines)
        out += "  " + line + "\n";
}

std::vector<std::string> packages(const base::JsonObject& object, const char* key) {
    std::vector<std::string> lines;
    for (const base::json::value& item : object.array(key)) {
        const base::JsonObject package(item, "diff");
        lines.push_back(package.has("from") ? fmt::format("{} {} -> {}", package.string("name"), package.string("from"),
                                                          package.string("to"))
                                            : package.string("name") + " " + package.string("version"));
    }
    return lines;
}

std::vector<std::string> changes(const base::JsonObject& object, const char* key) {
    std::vector<std::string> lines;
    for (const base::json::value& item : object.array(key)) {
        const base::JsonObject change(item, "etc-diff");
        lines.push_back(fmt::format("{:<9}/etc/{}", change.string("change"), change.string("path")));
    }
    return lines;
}

} // namespace

std::string render_diff(const std::string& json_text) {
    const base::json::value document = base::parse_json(json_text, "diff");
    const base::JsonObject diff(document, "diff");
    std::string out = fmt::format("from {}\nto   {}\n", release_from_json(diff.object("from")).describe(),
                                  release_from_json(diff.object("to")).describe());
    const std::size_t heading = out.size();
    if (const auto object = diff.object("packages")) {
        if (!object->boolean("listed"))
            out += "packages: one of the images has no list of them\n";
        list(out, "packages changed", packages(*object, "changed"));
        list(out, "packages added", packages(*object, "added"));
        list(out, "packages removed", packages(*object, "removed"));
    }
    if (const auto files = diff.object("files")) {
        list(out, "files changed", files->strings("modified"));
        list(out, "files added", files->strings("added"));
        list(out, "files removed", files->strings("removed"));
        if (files->boolean("cut"))
            out += "the lists of files were cut\n";
    }
    return out.size() == heading ? out + "no difference\n" : out;
}

std::string render_etc_diff(const std::string& json_text) {
    const base::json::value document = base::parse_json(json_text, "etc-diff");
    const base::JsonObject diff(document, "etc-diff");
    std::string out;
    if (diff.boolean("factory"))
        out += "a factory reset is staged: none of this is taken over\n";
    list(out, "changed here", changes(diff, "here"));
    if (diff.has("next"))
        list(out, "changed in " + release_from_json(diff.object("next")).version, changes(diff, "there"));
    else
        out += "nothing is staged: no image to compare with\n";
    std::vector<std::string> conflicts;
    for (const std::string& path : diff.strings("conflicts"))
        conflicts.push_back(fmt::format("/etc/{}  (what is here stays; the image's will be /usr/etc/{})", path, path));
    list(out, "CONFLICT, changed on both sides", conflicts);
    list(out, "merged by name", diff.strings("accounts"));
    list(out, "BLOCKED, the release cannot be installed before this is settled", diff.strings("blocked"));
    if (diff.boolean("cut"))
        out += "the lists were cut\n";
    return out;
}

} // namespace updater
