// updater_bench KEY REPOSITORY FROM TO LABEL: fetches the release TO on a machine that has FROM, over HTTP, in the ways
// there are: by the static delta that the channel file lists, object by object, and onto a machine that has none of it.
// Prints bytes, requests, time and the worker's peak memory. tests/bench/update makes the releases.
#include <cstdio>

#include "../../integration/updater/rig.hpp"
#include "base/cli.hpp"
#include "base/error.hpp"
#include "base/json.hpp"
#include "base/sha256.hpp"

namespace {

using namespace updater_test;

struct Arguments {
    std::string key;
    std::string repository;
    std::string from;
    std::string to;
    std::string label;
};

SigningKey load_key(const std::string& path) {
    std::string text = base::read_file(path);
    text.erase(text.find_last_not_of('\n') + 1);
    const std::string bytes = base::base64_decode(text);
    constexpr std::size_t half = 32;
    return {bytes.substr(0, half), base::base64_encode(bytes.substr(half))};
}

std::string first_number(const std::string& text, const std::string& before) {
    const std::size_t at = text.find(before);
    return at == std::string::npos ? "?" : std::to_string(std::stol(text.substr(at + before.size())));
}

void measure(const Arguments& arguments, const char* way) {
    const std::string_view kind = way;
    Rig rig;
    rig.key = load_key(arguments.key);
    base::write_durable(rig.paths.trusted_keys + "/release", rig.key.public_base64 + "\n");
    const std::string stream = "atoll/x86_64/stable";
    const std::string tiny = rig.publish({.version = "0", .ref = stream, .timestamp = 1'600'000'000});
    base::run_checked({"cp", "-a", arguments.repository + "/.", rig.directory + "/server"});
    if (kind != "delta")
        base::run_checked({MKIMAGE, "channel", rig.directory + "/server", "--stream", stream, "--commit", arguments.to,
                           "--no-deltas", "--key", arguments.key});
    rig.install(kind == "full" ? tiny : arguments.from);
    rig.server->forget_requests();
    const auto start = std::chrono::steady_clock::now();
    const base::RunResult run = rig.worker({"pull", "--url", rig.server->url(), "--ref", stream, "--allow-downgrade"});
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
    if (!run.status.success())
        throw base::Error(run.output + run.errors);
    const base::json::value answer = base::parse_json(Rig::last_line(run), "answer");
    const bool by_delta = answer.at("result").at("delta").as_bool();
    if (by_delta != (kind == "delta"))
        throw base::Error(fmt::format("{}: {}", way, Rig::last_line(run)));
    std::printf("%-28s %-8s %12llu %9zu %8.1f %10s\n", arguments.label.c_str(), way,
                static_cast<unsigned long long>(rig.server->bytes_sent()), rig.server->requests().size(), took.count(),
                first_number(run.errors, "peak memory ").c_str());
    std::fflush(stdout);
}

} // namespace

int main(int argc, char** argv) {
    return base::run_main("updater_bench", [&] {
        if (argc != 6) {
            std::fputs("usage: updater_bench KEY REPOSITORY FROM TO LABEL\n", stderr);
            return 2;
        }
        const Arguments arguments{argv[1], argv[2], argv[3], argv[4], argv[5]};
        for (const char* way : {"delta", "objects", "full"})
            measure(arguments, way);
        return 0;
    });
}
