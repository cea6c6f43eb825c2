// Tests of shared rings make them in a directory of their own, in the same memory file system, so that what is left
// there is theirs and nobody cleans it but they.
#pragma once

#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <vector>

#include "check.hpp"
#include "ringbuffer/region.hpp"

namespace fastmas::testing {

class RingDirectory {
  public:
    RingDirectory() {
        const bool memory = std::filesystem::is_directory("/dev/shm");
        path_ = std::string(memory ? "/dev/shm" : "/tmp") + "/fastmas-test.XXXXXX";
        CHECK(mkdtemp(path_.data()) != nullptr);
        setenv("FASTMAS_RING_DIR", path_.c_str(), 1);
    }
    RingDirectory(const RingDirectory&) = delete;
    RingDirectory& operator=(const RingDirectory&) = delete;
    ~RingDirectory() {
        unsetenv("FASTMAS_RING_DIR");
        std::error_code ignored;
        std::filesystem::remove_all(path_, ignored);
    }
    const std::string& path() const { return path_; }

  private:
    std::string path_;
};

// The names of the files there, sorted, with a space between them.
inline std::string files_in(const std::string& directory) {
    std::vector<std::string> names;
    for (const auto& entry : std::filesystem::directory_iterator(directory)) names.push_back(entry.path().filename());
    std::sort(names.begin(), names.end());
    std::string all;
    for (const std::string& name : names) all += (all.empty() ? "" : " ") + name;
    return all;
}

inline ringbuffer::RegionSpec spec_of(std::int64_t capacity, std::size_t slot_bytes = 8) {
    ringbuffer::RegionSpec spec;
    spec.kind = ringbuffer::RingKind::spsc;
    spec.shape = {capacity, slot_bytes};
    spec.dtype = "int64";
    return spec;
}

}  // namespace fastmas::testing
