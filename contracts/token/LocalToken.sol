// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {ERC20} from "@openzeppelin/contracts/token/ERC20/ERC20.sol";
import {ERC20Permit} from "@openzeppelin/contracts/token/ERC20/extensions/ERC20Permit.sol";

/// @title LocalToken
/// @notice ERC-20 with EIP-2612 permits for local networks: the whole supply goes to the deployer.
contract LocalToken is ERC20, ERC20Permit {
    /// @param supply Tokens minted to the deployer, in wei.
    constructor(uint256 supply) ERC20("flchain local token", "FLC") ERC20Permit("flchain local token") {
        _mint(msg.sender, supply);
    }
}
