#include "crash/recording.hpp"

#include "base/error.hpp"
#include "base/files.hpp"
#include "base/json.hpp"

namespace crash {

namespace json = base::json;

std::string large_marker_text() {
    std::string text;
    for (unsigned line = 1; line <= large_marker_lines; ++line)
        text += std::to_string(line) + "\n";
    return text;
}

void Recording::save() const {
    json::array list;
    for (const Job& job : jobs)
        list.push_back(
            json::object{{"name", job.name}, {"first", job.first}, {"last", job.last}, {"judged", job.judged}});
    base::write_durable(directory + "/recording.json", json::serialize(json::object{{"jobs", std::move(list)}}));
}

Recording Recording::load(const std::string& directory) {
    const std::string path = directory + "/recording.json";
    const json::value document = base::parse_json(base::read_file(path), path);
    Recording recording{.directory = directory};
    for (const json::value& item : base::JsonObject(document, path).array("jobs")) {
        const base::JsonObject job(item, path);
        recording.jobs.push_back({.name = job.required_string("name"),
                                  .first = static_cast<std::uint64_t>(job.integer("first")),
                                  .last = static_cast<std::uint64_t>(job.integer("last")),
                                  .judged = job.boolean("judged", true)});
    }
    return recording;
}

} // namespace crash
