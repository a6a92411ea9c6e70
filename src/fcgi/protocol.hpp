// The FastCGI 1.0 vocabulary: record types, roles, statuses and sizes, from libfcgi's fastcgi.h (FastCGI
// Specification, sections 3.3 and 8). This is the only file that includes that header, whose names are macros.
// Pure constants: no ownership, any thread.
#pragma once

#include <fastcgi.h>

#include <cstddef>
#include <cstdint>

namespace ftm::fcgi {

inline constexpr std::size_t kHeaderBytes = FCGI_HEADER_LEN;
inline constexpr std::size_t kBeginBodyBytes = sizeof(FCGI_BeginRequestBody);
inline constexpr std::size_t kEndRecordBytes = sizeof(FCGI_EndRequestRecord);
inline constexpr std::size_t kUnknownTypeRecordBytes = sizeof(FCGI_UnknownTypeRecord);

// A record's content length is 16 bits wide; we send at most the largest multiple of 8, as php-fpm does.
inline constexpr std::size_t kMaxContentBytes = FCGI_MAX_LENGTH;
inline constexpr std::size_t kMaxSentContentBytes = FCGI_MAX_LENGTH & ~std::size_t{7};

inline constexpr std::uint8_t kVersion = FCGI_VERSION_1;
inline constexpr std::uint8_t kKeepConnFlag = FCGI_KEEP_CONN;
inline constexpr std::uint16_t kManagementId = FCGI_NULL_REQUEST_ID;

// Section 5.1. php-fpm serves all three as responder; FCGI_ROLE tells the script which it was.
enum class Role : std::uint8_t {
    responder = FCGI_RESPONDER,
    authorizer = FCGI_AUTHORIZER,
    filter = FCGI_FILTER,
};

// Section 8. Any other number is legal on the wire and gets an unknown_type answer. (std_in, not stdin: a macro.)
enum class RecordType : std::uint8_t {
    begin_request = FCGI_BEGIN_REQUEST,
    abort_request = FCGI_ABORT_REQUEST,
    end_request = FCGI_END_REQUEST,
    params = FCGI_PARAMS,
    std_in = FCGI_STDIN,
    std_out = FCGI_STDOUT,
    std_err = FCGI_STDERR,
    data = FCGI_DATA,
    get_values = FCGI_GET_VALUES,
    get_values_result = FCGI_GET_VALUES_RESULT,
    unknown_type = FCGI_UNKNOWN_TYPE,
};

// Section 5.5, the protocolStatus of END_REQUEST.
enum class ProtocolStatus : std::uint8_t {
    request_complete = FCGI_REQUEST_COMPLETE,
    cant_mpx_conn = FCGI_CANT_MPX_CONN,
    overloaded = FCGI_OVERLOADED,
    unknown_role = FCGI_UNKNOWN_ROLE,
};

static_assert(sizeof(FCGI_Header) == kHeaderBytes);
static_assert(sizeof(FCGI_BeginRequestBody) == 8);
static_assert(sizeof(FCGI_EndRequestRecord) == 16);
static_assert(sizeof(FCGI_UnknownTypeRecord) == 16);
static_assert(alignof(FCGI_Header) == 1, "records are read and written at any address");
static_assert(kMaxSentContentBytes == 65528);

}  // namespace ftm::fcgi
