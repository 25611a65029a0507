// updatectl's connection to updaterd.
#pragma once
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace updater {

class BusClient {
public:
    /// Throws base::Error when updaterd does not answer there.
    explicit BusClient(const std::string& socket_path);
    ~BusClient();

    /// Bytes, total bytes, objects, total objects.
    std::function<void(std::uint64_t, std::uint64_t, std::uint64_t, std::uint64_t)> on_progress;
    std::function<void(const std::string& state)> on_state;

    /// Calls a method that answers with one string; waits as long as it takes, and calls the functions above meanwhile.
    /// Throws base::Error with updaterd's message.
    struct Options {
        std::map<std::string, bool> flags;
        std::map<std::string, std::uint64_t> numbers;
        std::map<std::string, std::vector<std::string>> lists;
    };
    std::string call(const std::string& method, const std::vector<std::string>& arguments = {});
    std::string call(const std::string& method, const std::vector<std::string>& arguments, const Options& options);

    struct Impl;

private:
    std::string call(const std::string& method, const std::vector<std::string>& arguments, const Options* options);
    std::string wait(void* message);
    std::unique_ptr<Impl> impl_;
};

} // namespace updater
