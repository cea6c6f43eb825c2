// Bytes at rest that are read by position: a file, or memory (for tests and fuzzing).
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

namespace fastmas::audit {

// Reads rather than maps: a file that is cut while it is read gives fewer bytes, not a signal.
class ByteSource {
  public:
    ByteSource() = default;
    ByteSource(const ByteSource&) = delete;
    ByteSource& operator=(const ByteSource&) = delete;
    virtual ~ByteSource() = default;

    virtual std::uint64_t size() const noexcept = 0;

    // How many bytes were read: fewer than asked for only at the end.
    virtual std::size_t read(std::uint64_t offset, std::span<std::byte> out) = 0;
};

class MemorySource final : public ByteSource {
  public:
    explicit MemorySource(std::span<const std::byte> bytes) noexcept : bytes_(bytes) {}
    std::uint64_t size() const noexcept override { return bytes_.size(); }
    std::size_t read(std::uint64_t offset, std::span<std::byte> out) override;

  private:
    std::span<const std::byte> bytes_;
};

// Throws std::system_error when the file cannot be opened or read. Its size is what it was when it was opened.
class FileSource final : public ByteSource {
  public:
    explicit FileSource(const std::string& path);
    ~FileSource() override;
    std::uint64_t size() const noexcept override { return size_; }
    std::size_t read(std::uint64_t offset, std::span<std::byte> out) override;

  private:
    std::string path_;
    int file_;
    std::uint64_t size_ = 0;
};

}  // namespace fastmas::audit
