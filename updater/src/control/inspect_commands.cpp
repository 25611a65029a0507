#include "base/json.hpp"
#include "commands.hpp"
#include "report.hpp"

namespace updater::control {

namespace {

int show(const Arguments& arguments, const std::string& text, std::string (*render)(const std::string&)) {
    print(arguments.as_json ? text : render(text));
    return 0;
}

} // namespace

int status(const Arguments& arguments) {
    return show(arguments, BusClient(arguments.socket).call("Status"), render_status);
}

int history(const Arguments& arguments) {
    return show(arguments, BusClient(arguments.socket).call("History"), render_history);
}

int diff(const Arguments& arguments) {
    return show(arguments, BusClient(arguments.socket).call("Diff", {arguments.name, arguments.second}), render_diff);
}

int etc_diff(const Arguments& arguments) {
    return show(arguments, BusClient(arguments.socket).call("EtcDiff"), render_etc_diff);
}

} // namespace updater::control
