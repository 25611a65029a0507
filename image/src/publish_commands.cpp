#include "publish_commands.hpp"

#include <cstdio>

#include "base/error.hpp"
#include "base/files.hpp"

namespace image {
namespace {

std::vector<SigningKey> load_keys(const std::vector<std::string>& paths) {
    std::vector<SigningKey> keys;
    for (const std::string& path : paths)
        keys.push_back(SigningKey::load(path));
    return keys;
}

std::vector<std::string> load_all_public_keys(const std::vector<std::string>& paths) {
    std::vector<std::string> keys;
    for (const std::string& path : paths) {
        for (std::string& key : load_public_keys(path))
            keys.push_back(std::move(key));
    }
    return keys;
}

/// The repository has to be there: a typing error must not make an empty one.
Repository open_existing(const std::string& path) {
    base::read_file(path + "/config");
    return Repository::open_or_create(path);
}

void channel(const PublishArguments& arguments) {
    Repository repository = open_existing(arguments.repository);
    const std::string& stream = arguments.stream;
    std::string commit = arguments.commit;
    if (commit.empty())
        commit = offered_commit(arguments.repository, stream);
    if (commit.empty())
        commit = stream;
    ChannelOptions options = arguments.channel;
    for (std::string& from : options.delta_from)
        from = repository.resolve(from);
    const std::string path =
        write_channel(repository, stream, repository.resolve(commit), options, load_keys(arguments.keys));
    std::printf("%s", base::read_file(path).c_str());
}

void keys(const PublishArguments& arguments) {
    KeySetFile set = arguments.set;
    set.keys = load_all_public_keys(arguments.trust);
    set.revoked = load_all_public_keys(arguments.revoke);
    const std::string path = write_key_set(arguments.repository, std::move(set), load_keys(arguments.keys));
    std::printf("%s", base::read_file(path).c_str());
}

void sign(const PublishArguments& arguments) {
    Repository repository = open_existing(arguments.repository);
    const std::vector<SigningKey> signing = load_keys(arguments.keys);
    const std::string& stream = arguments.stream;
    const std::string commit = offered_commit(arguments.repository, stream);
    if (commit.empty())
        throw base::Error("no channel file of stream " + stream + " in " + arguments.repository);
    repository.add_signatures(commit, signing);
    const std::string path = arguments.repository + "/atoll/channels/" + stream;
    base::write_durable(path, add_signatures(base::read_file(path), "channel", signing, path));
    std::printf("%s", base::read_file(path).c_str());
}

} // namespace

void add_channel_options(CLI::App& command, ChannelOptions& options) {
    command.add_option("--rollout", options.rollout, "percent of the hosts that may take it")
        ->check(CLI::Range(0, 100));
    constexpr int longest = 36500;
    command.add_option("--expires-days", options.expires_days, "how long the channel file is believed (default 90)")
        ->check(CLI::Range(1, longest));
    command.add_option("--minimum-version", options.minimum_version,
                       "hosts older than this have to go through it first; \"\" for none");
    command.add_option("--delta-from", options.delta_from,
                       "commit to make a static delta from, besides the release offered before (repeatable)");
    command.add_option("--forget", options.forget,
                       "version offered before that hosts shall not get any more (repeatable)");
    command.add_flag("--no-deltas{false}", options.deltas, "no static delta from the release offered before");
}

void add_publish_commands(CLI::App& app, PublishArguments& arguments) {
    const auto add = [&](const char* name, const char* text, void (*function)(const PublishArguments&)) {
        CLI::App* command = app.add_subcommand(name, text);
        command->add_option("repository", arguments.repository, "DIR/repo of a build")->required();
        command->add_option("--key", arguments.keys, "secret key to sign with (repeatable)")->required();
        command->callback([&arguments, function] { function(arguments); });
        return command;
    };
    CLI::App* channels = add("channel", "write a stream's channel file anew: longer validity, wider rollout", channel);
    channels->add_option("--stream", arguments.stream, "the stream (ref)")->required();
    channels->add_option("--commit", arguments.commit, "offer this commit (default: the one offered)");
    add_channel_options(*channels, arguments.channel);
    CLI::App* sets = add("keys", "hand over to another set of keys; hosts follow set by set", keys);
    sets->add_option("--trust", arguments.trust, "file of public keys that sign from now on (repeatable)")->required();
    sets->add_option("--revoke", arguments.revoke, "file of public keys that hosts must not believe any more");
    sets->add_option("--threshold", arguments.set.threshold, "how many of them have to sign")->capture_default_str();
    CLI::App* signing = add("sign", "add signatures to what a stream offers: its commit and its channel file", sign);
    signing->add_option("--stream", arguments.stream, "the stream (ref)")->required();
}

} // namespace image
