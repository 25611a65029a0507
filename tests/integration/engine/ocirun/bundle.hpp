// A bundle whose program is the probe, and ocirun run on it.
#pragma once
#include <string>
#include <vector>

#include <boost/json.hpp>

#include "base/files.hpp"
#include "base/process.hpp"

namespace ocirun_test {

namespace json = boost::json;

class Bundle {
public:
    /// Six namespaces, proc, dev, devpts, sys; the probe reports.
    Bundle();
    ~Bundle();
    Bundle(const Bundle&) = delete;
    Bundle& operator=(const Bundle&) = delete;

    json::object config;
    json::object& process() { return config["process"].as_object(); }
    json::object& linux_part() { return config["linux"].as_object(); }
    json::array& mounts() { return config["mounts"].as_array(); }
    void add_mount(const std::string& text) { mounts().push_back(json::parse(text)); }
    /// "mount" and what else is given; a path joins.
    void namespaces(const std::string& list) { linux_part()["namespaces"] = json::parse(list); }
    void args(std::initializer_list<std::string> words);
    /// The probe reports, and on these paths, too.
    void report(const std::vector<std::string>& paths);

    /// A user namespace as well: the rootfs belongs to its root, 100000 and 200000 on the host.
    void use_user_namespace();

    std::string path() const { return directory_.path(); }
    std::string rootfs(const std::string& name = {}) const { return directory_ / "rootfs" + name; }
    std::string state_root() const { return directory_ / "state"; }
    void make_file(const std::string& name, const std::string& content) const; ///< in the rootfs, with its folders
    void save() const;

    /// `ocirun --root ... words`, the bundle as its working directory.
    base::RunResult ocirun(const std::vector<std::string>& words, const base::RunOptions& options = {}) const;
    /// Saves and runs; the probe's report. Fails the test when it cannot.
    json::object run();
    /// Saves and runs a container that must fail, and leave nothing behind; its error's text.
    std::string run_error();
    /// create and start; the probe waits.
    void start_waiting(const std::string& id = "box");
    json::object state(const std::string& id = "box") const;
    /// Polls until the state is `status`.
    void await_status(const std::string& status, const std::string& id = "box") const;

    /// State directories, cgroups and mounts that are left; empty when none.
    std::string leftovers() const;
    std::string cgroup_path() const;

private:
    base::TempDir directory_;
    std::string name_;
};

std::string text(const json::value& value);
/// A word of a list separated by commas.
bool has_option(const json::object& mount, const std::string& option);
std::string host_namespace(const std::string& name);

} // namespace ocirun_test
