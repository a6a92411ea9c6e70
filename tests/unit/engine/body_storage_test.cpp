#include "engine/body_storage.hpp"

#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>
#include <fstream>
#include <map>

namespace ftm::engine {
namespace {

using Params = std::map<std::string, std::string>;

class BodyStorage : public ::testing::Test {
protected:
    void SetUp() override
    {
        std::string name = (std::filesystem::temp_directory_path() / "ftm-storage-XXXXXX").string();
        ASSERT_NE(::mkdtemp(name.data()), nullptr);
        dir_ = name;
        std::filesystem::create_directories(dir_ / "a/b");
        policy_.post_max_size = 1000;
        policy_.user_ini = ".user.ini";
    }
    void TearDown() override { std::filesystem::remove_all(dir_); }

    std::uint64_t limit(const Params& changes = {})
    {
        Params params{{"REQUEST_METHOD", "POST"}, {"CONTENT_TYPE", "multipart/form-data; boundary=x"},
                      {"CONTENT_LENGTH", "1001"}, {"SCRIPT_FILENAME", (dir_ / "a/b/x.php").string()}};
        for (const auto& [name, value] : changes) {
            params[name] = value;
        }
        request::ParamTable table;
        for (const auto& [name, value] : params) {
            table.set(name, value);
        }
        return body_limits(policy_, table).store_limit;
    }

    std::filesystem::path dir_;
    php::BodyPolicy policy_;
};

TEST_F(BodyStorage, limits_forms_beyond_post_max_size_only)
{
    EXPECT_EQ(limit(), 1001U);
    EXPECT_EQ(limit({{"CONTENT_TYPE", "Application/X-WWW-Form-Urlencoded"}}), 1001U);
    EXPECT_EQ(limit({{"CONTENT_LENGTH", "1000"}}), 0U);
    EXPECT_EQ(limit({{"CONTENT_LENGTH", ""}}), 0U);
    EXPECT_EQ(limit({{"CONTENT_LENGTH", "-1"}}), 0U);
    EXPECT_EQ(limit({{"CONTENT_TYPE", "application/json"}}), 0U);
    EXPECT_EQ(limit({{"REQUEST_METHOD", "PUT"}}), 0U);
    policy_.post_max_size = 0;
    EXPECT_EQ(limit(), 0U);
}

TEST_F(BodyStorage, keeps_everything_where_the_limit_may_be_raised)
{
    EXPECT_EQ(limit({{"PHP_VALUE", "a=b\npost_max_size=1G"}}), 0U);
    EXPECT_EQ(limit({{"PHP_ADMIN_VALUE", "post_max_size=1G"}}), 0U);
    EXPECT_EQ(limit({{"PHP_VALUE", "memory_limit=1G"}}), 1001U);
    policy_.per_directory = true;
    EXPECT_EQ(limit(), 0U);
}

TEST_F(BodyStorage, looks_for_user_ini_in_every_directory_above_the_script)
{
    std::ofstream(dir_ / ".user.ini") << "post_max_size = 1G";
    EXPECT_EQ(limit(), 0U);
    policy_.user_ini = "other.ini";
    EXPECT_EQ(limit(), 1001U);
    std::ofstream(dir_ / "a/b/other.ini") << "post_max_size = 1G";
    EXPECT_EQ(limit(), 0U);
    policy_.user_ini = "";
    EXPECT_EQ(limit(), 1001U);
    policy_.user_ini = "other.ini";
    EXPECT_EQ(limit({{"SCRIPT_FILENAME", "proxy:fcgi://localhost/x.php"}}), 0U);
}

TEST_F(BodyStorage, a_fixed_limit_is_raised_by_admin_values_only)
{
    policy_.is_fixed = true;
    policy_.per_directory = true;
    std::ofstream(dir_ / ".user.ini") << "post_max_size = 1G";
    EXPECT_EQ(limit({{"PHP_VALUE", "post_max_size=1G"}}), 1001U);
    EXPECT_EQ(limit({{"PHP_ADMIN_VALUE", "post_max_size=1G"}}), 0U);
}

}  // namespace
}  // namespace ftm::engine
