// The commands of mkimage on a repository that is served: channel, keys, sign.
#pragma once
#include <string>
#include <vector>

#include <CLI/CLI.hpp>

#include "image/publish.hpp"

namespace image {

/// What the options of the commands are put into; outlives the parsing.
struct PublishArguments {
    std::string repository;
    std::string stream;
    std::string commit;
    ChannelOptions channel;
    KeySetFile set;
    std::vector<std::string> trust;
    std::vector<std::string> revoke;
    std::vector<std::string> keys;
};

void add_channel_options(CLI::App& command, ChannelOptions& options);
void add_publish_commands(CLI::App& app, PublishArguments& arguments);

} // namespace image
