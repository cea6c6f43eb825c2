#include "base/errors.hpp"
#include "bindings.hpp"
#include "ringbuffer/segment.hpp"

namespace fastmas::bindings {
namespace {

void raise_as(const char* name, const char* text) {
    // Imported when first thrown: fastmas.errors imports nothing of ours, so this cannot recurse.
    const auto type = py::module_::import("fastmas.errors").attr(name);
    PyErr_SetString(type.ptr(), text);
}

}  // namespace

void register_errors() {
    py::register_exception_translator([](std::exception_ptr pointer) {
        try {
            if (pointer) std::rethrow_exception(pointer);
        } catch (const base::ConfigError& error) {
            raise_as("ConfigError", error.what());
        } catch (const base::InvariantError& error) {
            raise_as("InvariantError", error.what());
        } catch (const ringbuffer::SegmentBusy& error) {
            raise_as("RingBusyError", error.what());
        } catch (const ringbuffer::SegmentGone& error) {
            raise_as("RingGoneError", error.what());
        } catch (const ringbuffer::SegmentError& error) {
            raise_as("ConfigError", error.what());
        }
    });
}

}  // namespace fastmas::bindings
