// The one main of every Boost.Test program in the tree.
#define BOOST_TEST_MODULE atoll
#include <boost/test/unit_test.hpp>
