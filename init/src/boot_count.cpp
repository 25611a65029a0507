#include "boot_count.hpp"

#include "log.hpp"

namespace init {

namespace {

constexpr std::uint64_t all_tries = 3;

std::uint64_t begun_boots(std::string_view block, std::string_view revision) noexcept {
    const std::string_view begun = grub_variable(block, "begun");
    if (!begun.starts_with(revision) || begun.size() <= revision.size() || begun[revision.size()] != '.')
        return 0;
    const auto number = parse_number(skip(begun, revision.size() + 1));
    return number && *number < 1000 ? *number : 0;
}

bool count_boot(std::string_view block, std::string_view revision, std::uint64_t refunds, GrubBlock& changed) noexcept {
    if (!is_counted(block, revision))
        return false;
    const std::uint64_t boots = begun_boots(block, revision) + 1;
    const std::uint64_t left = parse_number(grub_variable(block, "tries")).value_or(0);
    const Text<48> begun(revision, ".", boots);
    const Text<24> tries(left + (boots <= refunds && left < all_tries ? 1U : 0U));
    return !begun.truncated() && change_grub_block(block, {{"begun", begun.view()}, {"tries", tries.view()}}, changed);
}

} // namespace

bool is_counted(std::string_view block, std::string_view revision) noexcept {
    return !revision.empty() && grub_variable(block, "trial") == revision && grub_variable(block, "ok") != revision;
}

bool count_begun_boot(std::string_view block, std::string_view revision, GrubBlock& changed) noexcept {
    return count_boot(block, revision, max_refunds, changed);
}

bool count_crashed_boot(std::string_view block, std::string_view revision, GrubBlock& changed) noexcept {
    return count_boot(block, revision, 0, changed);
}

bool mark_failed(std::string_view block, std::string_view revision, GrubBlock& changed) noexcept {
    return !revision.empty() && change_grub_block(block, {{"failed", revision}}, changed);
}

bool end_tries(std::string_view block, std::string_view revision, GrubBlock& changed) noexcept {
    if (revision.empty() || grub_variable(block, "ok") == revision)
        return false;
    return change_grub_block(block, {{"trial", revision}, {"tries", "0"}}, changed);
}

void change_grub_environment(const char* path, BlockChange change, std::string_view revision) noexcept {
    GrubBlock block;
    if (const int error = read_grub_block(path, block); error != 0) {
        log_error("read ", path, ": ", Errno{error});
        return;
    }
    GrubBlock changed;
    if (!change(block.view(), revision, changed) || changed.view() == block.view())
        return;
    if (const int error = write_grub_block(path, changed); error != 0)
        log_error("write ", path, ": ", Errno{error});
}

} // namespace init
