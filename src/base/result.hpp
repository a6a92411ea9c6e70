// Value or error, with the member names of std::expected so that a later switch is mechanical.
#pragma once

#include <utility>
#include <variant>

namespace ftm {

template <class E>
struct Unexpected {
    E error;
};
template <class E>
Unexpected(E) -> Unexpected<E>;

template <class T, class E>
class [[nodiscard]] Result {
public:
    Result(T value) : state_(std::in_place_index<0>, std::move(value)) {}
    Result(Unexpected<E> error) : state_(std::in_place_index<1>, std::move(error.error)) {}

    [[nodiscard]] bool has_value() const noexcept { return state_.index() == 0; }
    explicit operator bool() const noexcept { return has_value(); }
    [[nodiscard]] T& value() & { return std::get<0>(state_); }
    [[nodiscard]] const T& value() const& { return std::get<0>(state_); }
    [[nodiscard]] T&& value() && { return std::get<0>(std::move(state_)); }
    [[nodiscard]] const E& error() const { return std::get<1>(state_); }
    T& operator*() & { return value(); }
    T* operator->() { return &value(); }

private:
    std::variant<T, E> state_;
};

}  // namespace ftm
