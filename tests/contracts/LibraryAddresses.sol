// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.37;

import {DrawBook} from "../../contracts/libraries/DrawBook.sol";

/// @notice Where forge deploys the libraries that the contracts call.
contract LibraryAddresses {
    /// @notice Return the address of `DrawBook`.
    function drawBook() external pure returns (address) {
        return address(DrawBook);
    }
}
