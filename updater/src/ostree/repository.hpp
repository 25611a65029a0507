// The object repository: metadata of commits, verification, pulling. Wraps OstreeRepo.
#pragma once
#include <ostree.h>

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "glib_owner.hpp"
#include "updater/remote.hpp"

namespace updater {

struct CommitInfo {
    std::string checksum;
    std::string version; ///< empty when the commit has none
    std::int64_t timestamp = 0;
    std::string bytes;             ///< of the commit object: what was signed
    std::vector<std::string> refs; ///< ostree.ref-binding
};

/// What of a commit is not here yet, from the sizes it carries (`ostree.sizes`).
struct MissingContent {
    std::uint64_t objects = 0;
    std::uint64_t download_bytes = 0;
    std::uint64_t disk_bytes = 0;
    std::uint64_t largest_object = 0;
};

struct TransferProgress {
    std::uint64_t bytes = 0;
    std::uint64_t objects = 0;
    std::uint64_t requested = 0;
    bool operator==(const TransferProgress&) const = default;
};

/// Reads a commit object. Throws base::Error unless its digest is `checksum`.
CommitInfo parse_commit(const std::string& checksum, std::string bytes);
/// Raw signatures in a commit's detached metadata, which nothing vouches for.
std::vector<std::string> parse_signatures(const std::string& checksum, std::string_view detached_metadata);

class Repository {
public:
    explicit Repository(GOwner<OstreeRepo> repo) : repo_(std::move(repo)) {}
    OstreeRepo* get() const noexcept { return repo_.get(); }

    bool has_commit(const std::string& checksum) const;
    CommitInfo read_commit(const std::string& checksum) const;
    /// Raw signatures of the detached metadata; empty when there are none.
    std::vector<std::string> signatures(const std::string& checksum) const;
    /// Puts a commit object and its detached metadata in, whose content is still missing.
    void write_partial_commit(const CommitInfo& commit, const std::string& detached_metadata);
    /// Throws base::Error when the commit does not carry its sizes.
    MissingContent missing_content(const std::string& checksum) const;
    /// Removes the commit object and its detached metadata, not the content.
    void forget_commit(const std::string& checksum) noexcept;

    /// The content of a commit whose object is here. Objects are checked against their names as they arrive; `progress`
    /// is called now and then. Given up when the commit turns out to have more than `max_objects`.
    void pull(const Remote& remote, const std::string& checksum, std::uint64_t max_objects,
              const std::function<void(const TransferProgress&)>& progress);
    /// Makes the objects of a static delta that is in `directory` (files superblock, 0, 1, ...), in one transaction.
    void apply_delta(const std::string& directory);

    /// Removes what an interrupted pull left in the repository's temporary directory.
    void remove_leftovers();
    /// Reads what an interrupted pull left and removes what a power cut damaged; the next pull takes the rest over.
    void check_leftovers();

    /// Reads every object of `checksum` that `known` (a commit whose objects were checked before, or empty) does not
    /// have, checks it against its name, and that the commit's sizes list it and it brings no privilege of its own
    /// (setuid, setgid, file capabilities). Returns how many there were.
    std::uint64_t check_objects(const std::string& checksum, const std::string& known,
                                const std::function<void(std::uint64_t done, std::uint64_t total)>& progress) const;

    /// Content of a regular file of the commit; nullopt when it is not there.
    std::optional<std::string> read_file(const std::string& checksum, const std::string& path, std::size_t limit) const;
    struct Entry {
        std::string name;
        std::string digest; ///< of the content object; empty for a directory
        std::uint64_t size = 0;
        bool is_directory = false;
    };
    /// Entries of a directory of the commit; empty when it is not there.
    std::vector<Entry> list_directory(const std::string& checksum, const std::string& path) const;

    /// A local ref, so that cleaning up keeps the commit. An empty checksum removes it.
    void set_ref(const std::string& ref, const std::string& checksum);

    /// A file or directory of the commit, which need not be there.
    GOwner<GFile> open_path(const std::string& checksum, const std::string& path) const;

private:
    GOwner<OstreeRepo> repo_;
};

/// Before the repository is opened: what an interrupted pull left is not thrown away because the boot is another one.
/// Then nothing may be pulled without `check_leftovers` or `remove_leftovers` after a power cut.
void keep_leftovers();

/// Keeps a staged commit from being cleaned up.
inline constexpr const char* staged_ref = "atoll-staged";

} // namespace updater
