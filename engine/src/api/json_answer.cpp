#include "api/json_answer.hpp"

namespace engine::api {

void send_json(Call& call, unsigned status, const json::value& body) {
    call.response.send(status, json::serialize(body) + "\n");
}

void send_nothing(Call& call) {
    call.response.send(204, "");
}

json::value read_json(Call& call, std::size_t limit) {
    const std::string text = call.request.body(limit);
    if (text.find_first_not_of(" \t\r\n") == std::string::npos)
        return json::object();
    return checked_body([&] { return base::parse_json(text, "request body"); });
}

json::array to_json(const std::vector<std::string>& list) {
    json::array result;
    for (const std::string& item : list)
        result.emplace_back(item);
    return result;
}

json::object to_json(const std::map<std::string, std::string>& map) {
    json::object result;
    for (const auto& [key, value] : map)
        result[key] = value;
    return result;
}

json::value list_or_null(const std::vector<std::string>& list) {
    if (list.empty())
        return nullptr;
    return to_json(list);
}

} // namespace engine::api
