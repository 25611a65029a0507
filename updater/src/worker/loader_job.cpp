// Our container has no block devices: init starts the host's half, which leaves its answer in a file.
#include <unistd.h>

#include <thread>

#include <CLI/CLI.hpp>

#include "base/error.hpp"
#include "base/files.hpp"
#include "init/client.hpp"
#include "jobs.hpp"

namespace updater {

namespace json = base::json;

namespace {

constexpr std::size_t max_answer = 64 * 1024;
constexpr auto answer_limit = std::chrono::seconds(100);

json::object ask_host(const Paths& paths, init::BootLoaderJob job) {
    ::unlink(paths.boot_loader_answer.c_str());
    init::Client::connect(paths.init_socket).boot_loader(job);
    const auto deadline = std::chrono::steady_clock::now() + answer_limit;
    std::optional<std::string> text;
    while (!(text = base::read_file_if_exists(paths.boot_loader_answer, max_answer))) {
        if (std::chrono::steady_clock::now() > deadline)
            throw base::Error(ETIMEDOUT, "boot loader: no answer from the host; its log (initctl log) may say why");
        std::this_thread::sleep_for(std::chrono::milliseconds(20));
    }
    const json::value document = base::parse_json(*text, paths.boot_loader_answer);
    const base::JsonObject answer(document, paths.boot_loader_answer);
    if (const auto result = answer.object("result"))
        return result->raw();
    throw base::Error(answer.required_string("error"));
}

} // namespace

void add_loader_job(CLI::App& app, WorkerCall& call) {
    static const std::map<std::string, init::BootLoaderJob> jobs{{"look", init::BootLoaderJob::look},
                                                                 {"update", init::BootLoaderJob::update},
                                                                 {"downgrade", init::BootLoaderJob::downgrade}};
    const auto what = std::make_shared<init::BootLoaderJob>();
    CLI::App* job = app.add_subcommand("boot-loader", "have the host look at the boot loader, or replace it");
    job->add_option("WHAT", *what, "look, update, downgrade")->required()->transform(CLI::CheckedTransformer(jobs));
    job->callback([&call, what] {
        call.job = [what](const Paths& paths) {
            return ask_host(paths, *what);
        };
    });
}

} // namespace updater
