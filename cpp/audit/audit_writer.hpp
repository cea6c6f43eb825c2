// An audit file being written: blocks go to the operating system as they are sealed.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "audit/block_builder.hpp"
#include "base/record_sink.hpp"

namespace fastmas::audit {

// Appends records to a new file. A process that dies loses at most the block under construction; with `sync`, so does a
// machine that dies. One thread at a time. append() is buffered: it writes once a block (at most 4096 records or about
// 1 MiB).
class AuditWriter final : public base::RecordSink {
  public:
    // Creates the file and writes its header. Throws std::system_error, also when the file exists.
    AuditWriter(const std::string& path, std::string_view header_json, bool sync);
    ~AuditWriter() override;  // as abandon(), but throws nothing

    // ConfigError: the record breaks a rule, nothing was appended. InvariantError: closed, or the file failed before or
    // now.
    void append(std::uint64_t id, std::int64_t ts_ns, std::uint32_t type, std::uint32_t count,
                std::span<const std::uint64_t> causes, std::span<const std::byte> payload) override;

    // The rest throws std::system_error when the file fails, and InvariantError from then on.
    void flush();           // seals the block under construction: where blocks end is part of the head
    const Digest& close();  // flush and trailer; idempotent
    void abandon();         // flush without trailer: the file says that its writer did not finish; idempotent

    bool closed() const noexcept { return file_ < 0; }
    const Digest& head() const noexcept { return builder_.head(); }
    std::uint64_t records() const noexcept { return builder_.records(); }
    std::uint64_t blocks() const noexcept { return builder_.blocks(); }

  private:
    void require_open() const;
    void write(std::span<const std::byte> bytes);
    void synchronise();
    void seal();
    void close_file();
    [[noreturn]] void fail(const char* what);

    std::string path_;
    bool sync_;
    int file_ = -1;
    std::uint64_t file_bytes_ = 0;
    std::string failure_;
    BlockBuilder builder_;
};

}  // namespace fastmas::audit
