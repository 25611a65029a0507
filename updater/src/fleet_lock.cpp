#include "updater/fleet_lock.hpp"

#include "base/error.hpp"
#include "base/http/client.hpp"
#include "base/json.hpp"
#include "base/sha256.hpp"
#include "updater/boot_text.hpp"

namespace updater {

namespace {

constexpr std::size_t max_answer = 16 * 1024;
constexpr std::chrono::milliseconds answer_timeout{30'000};

} // namespace

std::string lock_id(const base::RebootLock& lock, std::string_view machine_id) {
    if (!lock.id.empty())
        return lock.id;
    if (machine_id.empty())
        throw base::Error("reboot lock: this host has no machine id; set update.lock.id");
    return base::sha256_hex("atoll reboot lock " + std::string(machine_id)).substr(0, 32);
}

std::string lock_body(const base::RebootLock& lock, const std::string& id) {
    return base::json::serialize(
        base::json::object{{"client_params", base::json::object{{"id", id}, {"group", lock.group}}}});
}

std::string lock_refusal(long status, std::string_view body) {
    try {
        const base::json::value document = base::parse_json(body, "answer");
        const base::JsonObject object(document, "answer");
        const std::string kind = object.string("kind");
        const std::string value = object.string("value");
        if (!kind.empty() || !value.empty())
            return plain_text(kind + ": " + value, 500);
    } catch (const base::Error&) {
        // The protocol only wishes for an explanation.
    }
    return fmt::format("HTTP status {}", status);
}

LockAnswer ask_lock(const base::RebootLock& lock, LockRequest request, const std::string& id, const std::string& ca) {
    const std::size_t path = lock.url.find('/', lock.url.find("://") + 3);
    std::optional<base::TlsFiles> tls;
    if (!ca.empty())
        tls = base::TlsFiles{ca, "", ""};
    base::http::Client client(lock.url.substr(0, path), tls);
    base::http::ClientRequest call;
    call.method = "POST";
    call.target = path == std::string::npos ? "" : lock.url.substr(path);
    while (call.target.ends_with('/'))
        call.target.pop_back();
    call.target += request == LockRequest::pre_reboot ? "/v1/pre-reboot" : "/v1/steady-state";
    call.headers = {"fleet-lock-protocol: true"};
    call.body = lock_body(lock, id);
    call.timeout = answer_timeout;
    call.limit = max_answer;
    const base::http::ClientResponse response = client.send(call);
    if (response.status == 200)
        return {true, {}};
    return {false, lock_refusal(response.status, response.body)};
}

} // namespace updater
