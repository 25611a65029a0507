#include "updater/account_files.hpp"

#include <map>

#include "updater/boot_text.hpp"

namespace updater {

namespace {

constexpr std::size_t id_field = 2;     // passwd and group
constexpr std::size_t member_field = 3; // group and gshadow

struct Line {
    std::string text;
    std::string name; ///< empty: not an entry
};

using Index = std::map<std::string, std::string, std::less<>>; // line by name

std::vector<std::string> split(std::string_view text, char separator) {
    std::vector<std::string> parts;
    for (;;) {
        const std::size_t end = text.find(separator);
        parts.emplace_back(text.substr(0, end));
        if (end == std::string_view::npos)
            return parts;
        text.remove_prefix(end + 1);
    }
}

std::string join(const std::vector<std::string>& parts, char separator) {
    std::string text;
    for (std::size_t index = 0; index < parts.size(); ++index) {
        if (index > 0)
            text += separator;
        text += parts[index];
    }
    return text;
}

std::vector<Line> parse(std::string_view text) {
    std::vector<Line> lines;
    std::set<std::string, std::less<>> seen;
    while (!text.empty()) {
        const std::size_t end = std::min(text.find('\n'), text.size());
        Line line{std::string(text.substr(0, end)), {}};
        text.remove_prefix(std::min(end + 1, text.size()));
        // '+' and '-' begin NIS entries.
        const std::size_t colon = line.text.find(':');
        if (colon != std::string::npos && colon > 0 &&
            std::string_view("#+-").find(line.text[0]) == std::string_view::npos)
            line.name = line.text.substr(0, colon);
        if (!line.name.empty() && !seen.insert(line.name).second)
            line.name.clear(); // the first one counts, as for getpwnam(3)
        lines.push_back(std::move(line));
    }
    return lines;
}

Index index_of(const std::vector<Line>& lines) {
    Index index;
    for (const Line& line : lines) {
        if (!line.name.empty())
            index.emplace(line.name, line.text);
    }
    return index;
}

const std::string* find(const Index& index, const std::string& name) {
    const auto found = index.find(name);
    return found == index.end() ? nullptr : &found->second;
}

std::string field(const std::string& line, std::size_t number) {
    const std::vector<std::string> fields = split(line, ':');
    return number < fields.size() ? fields[number] : "";
}

std::vector<std::string> members(const std::string& list) {
    std::vector<std::string> names;
    for (std::string& name : split(list, ',')) {
        if (!name.empty())
            names.push_back(std::move(name));
    }
    return names;
}

bool contains(const std::vector<std::string>& list, const std::string& item) {
    return std::find(list.begin(), list.end(), item) != list.end();
}

/// The host's members, with those the image added and without those it took away.
std::string merge_members(const std::string& before, const std::string& here, const std::string& after) {
    const std::vector<std::string> old = members(before);
    const std::vector<std::string> next = members(after);
    std::vector<std::string> merged;
    for (const std::string& name : members(here)) {
        if (!contains(old, name) || contains(next, name))
            merged.push_back(name);
    }
    for (const std::string& name : next) {
        if (!contains(old, name) && !contains(merged, name))
            merged.push_back(name);
    }
    return join(merged, ',');
}

/// Field by field: what only one side changed is that side's.
std::string merge_line(AccountFile file, const std::string& before, const std::string& here, const std::string& after,
                       bool& conflict) {
    const std::vector<std::string> old = split(before, ':');
    std::vector<std::string> merged = split(here, ':');
    const std::vector<std::string> next = split(after, ':');
    if (old.size() != merged.size() || next.size() != merged.size()) {
        conflict = true;
        return here;
    }
    const bool is_group = file == AccountFile::group || file == AccountFile::gshadow;
    for (std::size_t index = 0; index < merged.size(); ++index) {
        if (is_group && index == member_field)
            merged[index] = merge_members(old[index], merged[index], next[index]);
        else if (merged[index] == old[index])
            merged[index] = next[index];
        else if (next[index] != old[index] && next[index] != merged[index])
            conflict = true;
    }
    return join(merged, ':');
}

class Merge {
public:
    Merge(AccountFile file, std::string_view before, std::string_view here, std::string_view after,
          const std::set<std::string>& not_wanted)
        : file_(file), before_(index_of(parse(before))), here_(parse(here)), here_index_(index_of(here_)),
          after_lines_(parse(after)), after_(index_of(after_lines_)), not_wanted_(not_wanted) {}

    MergedAccounts run() {
        for (const Line& line : here_) {
            if (line.name.empty())
                put(line.text, false);
            else
                merge_known(line);
        }
        for (const Line& line : after_lines_) {
            if (!line.name.empty() && find(here_index_, line.name) == nullptr)
                add_new(line);
        }
        return std::move(result_);
    }

private:
    void put(const std::string& line, bool is_entry = true) {
        result_.text += line + "\n";
        if (is_entry && has_ids())
            ids_.emplace(field(line, id_field), line.substr(0, line.find(':')));
    }

    bool has_ids() const noexcept { return file_ == AccountFile::passwd || file_ == AccountFile::group; }

    void conflict(const std::string& name, const std::string& why) {
        result_.conflicts.push_back(plain_text(fmt::format("{}: {}: {}", to_string(file_), name, why), 300));
    }

    void merge_known(const Line& line) {
        const std::string* before = find(before_, line.name);
        const std::string* after = find(after_, line.name);
        if (after == nullptr) {
            // An image takes a system user away; one that the host changed, or made, stays.
            if (before != nullptr && *before == line.text)
                result_.removed.push_back(line.name);
            else
                put(line.text);
            return;
        }
        if (before == nullptr || *before == *after || line.text == *after) {
            put(line.text);
            // Made here, and now the image brings it too: the same name with another id is no small thing.
            if (before == nullptr && has_ids() && field(line.text, id_field) != field(*after, id_field))
                conflict(line.name, fmt::format("made here with id {}, the image has it with {}",
                                                field(line.text, id_field), field(*after, id_field)));
            return;
        }
        bool disagree = false;
        const std::string merged = merge_line(file_, *before, line.text, *after, disagree);
        if (merged != line.text)
            result_.updated.push_back(line.name);
        if (disagree)
            conflict(line.name, "changed here and in the image; what is here was kept");
        put(merged);
    }

    void add_new(const Line& line) {
        if (find(before_, line.name) != nullptr || not_wanted_.contains(line.name))
            return; // deleted here, or refused before
        const std::string id = has_ids() ? field(line.text, id_field) : "";
        const auto owner = ids_.find(id);
        if (has_ids() && owner != ids_.end() && !shared_in_image(id, owner->second)) {
            conflict(line.name, fmt::format("not added: {} has its id {} here", owner->second, id));
            result_.refused.insert(line.name);
            return;
        }
        put(line.text);
        result_.added.push_back(line.name);
    }

    /// The image itself gives two names one id: then it is meant.
    bool shared_in_image(const std::string& id, const std::string& other) const {
        const std::string* line = find(after_, other);
        return line != nullptr && field(*line, id_field) == id;
    }

    AccountFile file_;
    Index before_;
    std::vector<Line> here_;
    Index here_index_;
    std::vector<Line> after_lines_;
    Index after_;
    const std::set<std::string>& not_wanted_;
    std::map<std::string, std::string> ids_; ///< who has an id in what was put so far
    MergedAccounts result_;
};

} // namespace

std::string_view to_string(AccountFile file) noexcept {
    switch (file) {
    case AccountFile::passwd:
        return "passwd";
    case AccountFile::group:
        return "group";
    case AccountFile::shadow:
        return "shadow";
    case AccountFile::gshadow:
        return "gshadow";
    }
    return "";
}

MergedAccounts merge_accounts(AccountFile file, std::string_view before, std::string_view here, std::string_view after,
                              const std::set<std::string>& not_wanted) {
    return Merge(file, before, here, after, not_wanted).run();
}

} // namespace updater
