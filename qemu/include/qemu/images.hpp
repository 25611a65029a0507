// The images of a rig: made by mkimage from qemu/guest/*.yaml, kept below a directory, made again when what goes into
// them has changed.
#pragma once
#include <string>
#include <vector>

#include "base/unique_fd.hpp"

namespace qemu {

/// Where things are: the source tree, the programs built from it, and the folder for everything that is made.
struct Places {
    std::string source;   ///< root of the source tree
    std::string binaries; ///< build/release/bin
    std::string out;      ///< source/out unless told otherwise

    /// From the running program's path: build/PRESET/bin/PROGRAM, with the source tree above it.
    static Places of_program();
    /// Held while something below `out` is made that several programs share: tests boot their machines side by side.
    /// Waits; not recursive.
    base::UniqueFd lock() const;
    std::string image_directory() const { return out + "/images"; }
};

/// Runs mkimage; its messages go to a log below out/log, whose end is in the error when it fails.
class Images {
public:
    explicit Images(Places places);

    /// Makes what is missing or out of date:
    ///   disk()             the first release, a bootable disk
    ///   repository()       an update repository with the first release and, newer, the second
    ///   container_image()  busybox:1, for `docker load`
    void make();
    enum class Signature { good, none, foreign };
    /// Makes an update repository in which a release newer than the second is made from qemu/guest/`yaml`.yaml;
    /// returns its path. Needs `make`.
    std::string make_release(const std::string& yaml, Signature signature = Signature::good);
    /// Makes a disk of a first release from qemu/guest/`yaml`.yaml instead of dev.yaml; returns its path.
    std::string make_disk(const std::string& yaml);

    std::string disk() const;
    std::string repository() const;
    /// The repository with the first release only: as long as no update was published.
    std::string first_repository() const;
    std::string container_image() const;
    /// Signs the channel file of one of these repositories anew, or of a copy: a host takes no channel file that is
    /// older than one it has seen, and these may have been made in any order.
    void offer_anew(const std::string& repository) const;
    /// File of a secret key that releases are signed with: "release", which the disk trusts, or "foreign".
    std::string key(const std::string& name) const;
    const Places& places() const noexcept { return places_; }

private:
    struct Release {
        std::string directory; ///< below image_directory()
        std::string yaml;
        std::string version;
        int number = 0; ///< order in time
        Signature signature = Signature::good;
    };
    /// What the images are a function of, as a digest.
    std::string fingerprint() const;
    bool up_to_date(const std::string& directory) const;
    void build(const Release& release, const std::string& start_from) const;

    Places places_;
    std::string fingerprint_;
};

/// Runs a program with its output in out/log/NAME.log; throws base::Error with the log's end and place.
void run_logged(const Places& places, const std::string& name, const std::vector<std::string>& argv);

} // namespace qemu
