// JSON in and out of handlers. Heavy: for .cpp files only.
#pragma once
#include "api/call.hpp"
#include "base/json.hpp"

namespace engine::api {

namespace json = base::json;

void send_json(Call& call, unsigned status, const json::value& body);
/// 204 without a body.
void send_nothing(Call& call);
/// The request's body as JSON, an empty object when there is none. Throws HttpError 400.
json::value read_json(Call& call, std::size_t limit = 1024 * 1024);
/// Runs `read`; what base::Error says of a wrong type becomes HttpError 400.
template <typename F>
auto checked_body(F&& read) -> decltype(read()) {
    try {
        return std::forward<F>(read)();
    } catch (const HttpError&) {
        throw;
    } catch (const EngineError&) {
        throw;
    } catch (const base::Error& error) {
        throw HttpError(400, error.what());
    }
}
json::array to_json(const std::vector<std::string>& list);
json::object to_json(const std::map<std::string, std::string>& map);
/// null for an empty list, as Go's JSON writes a nil slice.
json::value list_or_null(const std::vector<std::string>& list);

} // namespace engine::api
