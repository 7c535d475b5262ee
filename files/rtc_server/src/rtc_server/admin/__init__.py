# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""For those who manage the running server: a listener of its own, the panel, and the same as JSON.

It shares the process with those who work on projects, and must cost them nothing: what it takes is bounded, and what
fails in it is logged and ends there.
"""
