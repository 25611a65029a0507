// An ostree repository in archive mode: where commits are made, and what is served over HTTP.
#pragma once
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "image/channel_file.hpp"
#include "image/signing_key.hpp"

namespace image {

struct CommitRequest {
    std::string tree; ///< directory
    std::string name;
    std::string version;
    std::string ref;
    std::int64_t timestamp = 0;
};

class Repository {
public:
    /// Opens, or makes an empty one.
    static Repository open_or_create(const std::string& path);
    ~Repository();
    Repository(Repository&&) noexcept;

    const std::string& path() const noexcept { return path_; }
    /// Every file 0:0, no xattrs, no parent: the commit's id is a function of the request and the tree's content.
    std::string commit(const CommitRequest& request);
    /// Takes a commit and its objects from another repository of the build host; the ref stays as it is.
    void pull(const std::string& source, const std::string& commit);
    /// Writes the commit's detached metadata: `ostree.sign.ed25519`, one signature a key; without keys none.
    void sign(const std::string& commit, const std::vector<SigningKey>& keys);
    /// The same beside the signatures that are there.
    void add_signatures(const std::string& commit, const std::vector<SigningKey>& keys);
    bool has_commit(const std::string& commit) const;
    struct CommitDescription {
        std::string version;
        std::int64_t timestamp = 0;
    };
    CommitDescription describe(const std::string& commit) const;
    /// The commit of a ref, or of its abbreviation.
    std::string resolve(const std::string& ref) const;
    /// Bytes of the largest object that `to` has and `from` has not, as their `ostree.sizes` tell.
    std::uint64_t largest_new_object(const std::string& from, const std::string& to) const;
    /// Makes the static delta between two commits, in files of at most some MiB each, so that a host needs little
    /// memory for each and what came before a broken connection is of use.
    DeltaFile make_delta(const std::string& from, const std::string& to);
    /// Removes all other static deltas; returns how many.
    std::size_t keep_deltas(const std::vector<DeltaFile>& listed);
    void set_ref(const std::string& ref, const std::string& commit);
    void update_summary();

private:
    struct State;
    Repository(std::string path, std::unique_ptr<State> state);
    std::string path_;
    std::unique_ptr<State> state_;
};

} // namespace image
