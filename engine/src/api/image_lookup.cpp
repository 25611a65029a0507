#include "api/image_lookup.hpp"

#include "images/reference.hpp"

namespace engine::api {

ImageRecord require_image(const Context& context, const std::string& name) {
    try {
        if (auto record = context.images.find(name))
            return *std::move(record);
    } catch (const base::Error& error) {
        throw HttpError(400, error.what());
    }
    // The client's words: `docker run` pulls when it reads them.
    const auto reference = parse_reference(name);
    throw HttpError(404, "No such image: " + (reference ? reference->familiar() : name));
}

std::string familiar(const std::string& canonical) {
    const auto reference = parse_reference(canonical);
    return reference ? reference->familiar() : canonical;
}

std::vector<std::string> familiar_names(const std::vector<std::string>& names) {
    std::vector<std::string> result;
    for (const std::string& name : names)
        result.push_back(familiar(name));
    return result;
}

void publish_image_event(Context& context, const std::string& action, const std::string& id, const std::string& name) {
    Event event;
    event.type = "image";
    event.action = action;
    event.actor_id = id;
    event.attributes["name"] = name;
    event.time = std::chrono::system_clock::now();
    context.engine.publish(std::move(event));
}

unsigned image_error_status(const base::Error& error) {
    switch (error.error()) {
    case ENOSPC:
    case EDQUOT:
    case EIO:
    case EROFS:
    case ENOMEM:
    case EMFILE:
    case EPERM:
    case EACCES:
        return 500;
    default:
        return 400;
    }
}

} // namespace engine::api
