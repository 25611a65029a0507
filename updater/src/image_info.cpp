#include "updater/image_info.hpp"

#include "base/config_reader.hpp"
#include "base/files.hpp"

namespace updater {

namespace {

bool is_alnum(char c) noexcept {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

} // namespace

ImageInfo ImageInfo::parse(std::string_view text, const std::string& name) {
    base::ConfigDocument document = base::ConfigDocument::from_text(text, name);
    base::ConfigMap root = document.root();
    ImageInfo info;
    info.name = root.optional_string("name").value_or("");
    info.version = root.optional_string("version").value_or("");
    info.ref = root.optional_string("ref").value_or("");
    if (!info.ref.empty() && !is_valid_ref(info.ref))
        root.problem("ref: not the name of a stream");
    if (auto update = root.optional_map("update")) {
        info.threshold = update->optional_int("threshold", 1, 64).value_or(1);
        info.keys_version = update->optional_int("keys_version", 0, 1'000'000).value_or(0);
        update->rest();
    }
    if (const auto arguments = root.optional("kernel_arguments"))
        info.kernel_arguments = arguments->as_strings();
    root.rest();
    root.finish();
    document.throw_problems();
    return info;
}

ImageInfo ImageInfo::load(const std::string& path) {
    const auto text = base::read_file_if_exists(path, 1024 * 1024);
    return text ? parse(*text, path) : ImageInfo{};
}

bool is_valid_ref(std::string_view ref) noexcept {
    if (ref.empty() || ref.size() > 255)
        return false;
    bool at_start = true;
    for (const char c : ref) {
        if (c == '/') {
            if (at_start)
                return false;
            at_start = true;
        } else if (is_alnum(c) || c == '_' || (!at_start && (c == '-' || c == '.'))) {
            at_start = false;
        } else {
            return false;
        }
    }
    return !at_start;
}

} // namespace updater
