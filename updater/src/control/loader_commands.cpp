#include "base/json.hpp"
#include "commands.hpp"
#include "report.hpp"

namespace updater {

namespace {

std::string explain(const base::JsonObject& status) {
    const std::string update = status.string("update");
    if (update == "current")
        return "it is the booted image's";
    if (update == "available")
        return "another one than the booted image's: `updatectl bootloader update` replaces it";
    if (update == "older")
        return "newer than the booted image's, which is installed with --allow-downgrade only";
    return status.string("reason");
}

void add_place(std::string& out, const char* label, const base::JsonObject& place) {
    const std::string state = place.string("state");
    if (state == "absent")
        return;
    out += fmt::format("{:<10}{}", label, state == "known" ? place.string("id") : state);
    if (state == "damaged")
        out += " " + place.string("id");
    if (const std::string detail = place.string("detail"); !detail.empty())
        out += ": " + detail;
    out += "\n";
}

} // namespace

std::string render_boot_loader(const std::string& json_text) {
    const base::json::value document = base::parse_json(json_text, "boot loader");
    const base::JsonObject status(document, "boot loader");
    std::string out = fmt::format("{:<10}{}, started by {}", "disk", status.string("disk"),
                                  status.string("firmware") == "uefi" ? "UEFI" : "BIOS");
    if (const std::string by = status.string("booted_by"); !by.empty())
        out += " and " + by;
    out += "\n";
    for (const auto& [label, key] : {std::pair("BIOS", "bios"), std::pair("UEFI", "esp")})
        if (const auto place = status.object(key))
            add_place(out, label, *place);
    const auto carried = status.object("carried");
    out += fmt::format("{:<10}{}\n", "image's", carried ? carried->string("id") : "none");
    out += fmt::format("{:<10}{}\n", status.string("update"), explain(status));
    return out;
}

namespace control {

int boot_loader_status(const Arguments& arguments) {
    const std::string text = BusClient(arguments.socket).call("BootLoaderStatus");
    print(arguments.as_json ? text : render_boot_loader(text));
    return 0;
}

int boot_loader_update(const Arguments& arguments) {
    const std::string text =
        BusClient(arguments.socket)
            .call("UpdateBootLoader", {},
                  {.flags = {{"allow-downgrade", arguments.allow_downgrade}}, .numbers = {}, .lists = {}});
    if (arguments.as_json) {
        print(text);
        return 0;
    }
    const base::json::value document = base::parse_json(text, "answer");
    const base::JsonObject answer(document, "answer");
    if (answer.strings("changed").empty())
        print("nothing to do: the boot loader is the booted image's");
    for (const std::string& place : answer.strings("changed"))
        print(place == "bios"  ? "BIOS: installed"
              : place == "esp" ? "UEFI: installed"
                               : "files in /boot/grub: repaired");
    for (const std::string& id : answer.strings("removed"))
        print("removed files of " + id);
    return 0;
}

} // namespace control

} // namespace updater
