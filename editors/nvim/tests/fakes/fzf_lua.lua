-- fzf-lua as far as the session picker uses it: `fzf_exec`, and the class of previewers that its
-- wiki has one inherit from. It shows nothing.

local M = { shown = nil }

local base = {}
base.__index = base
base.winopts = { number = true }

function base:extend()
  local class = setmetatable({}, self)
  class.__index = class
  class.super = self
  return class
end

function base:new(options, opts, window)
  assert(options and opts and window, 'the previewer needs what it is made with')
  self.window = window
end

function base.get_tmp_buffer()
  return vim.api.nvim_create_buf(false, true)
end

function base.set_preview_buf(_, buffer)
  M.shown.buffer = buffer
end

--- Put it where `require` finds it, with an `fzf` in the PATH.
function M.install(folder)
  package.loaded['fzf-lua'] = {
    fzf_exec = function(lines, opts)
      M.shown = { lines = lines, opts = opts, selected = 1 }
    end,
  }
  package.loaded['fzf-lua.previewer.builtin'] = { base = base }
  vim.fn.writefile({ '#!/bin/sh' }, folder .. '/fzf')
  vim.fn.setfperm(folder .. '/fzf', 'rwxr-xr-x')
  M.path = vim.env.PATH
  vim.env.PATH = folder .. ':' .. M.path
end

function M.uninstall()
  package.loaded['fzf-lua'] = nil
  package.loaded['fzf-lua.previewer.builtin'] = nil
  vim.env.PATH = M.path
end

function M.press(key)
  assert(M.shown.opts.actions[key], 'no such key: ' .. key)({ M.shown.lines[M.shown.selected] })
end

--- The buffer of a preview of the selected line.
function M.preview()
  local Previewer = M.shown.opts.previewer
  local previewer = Previewer.new(setmetatable({}, Previewer), {}, {}, {})
  previewer:populate_preview_buf(M.shown.lines[M.shown.selected])
  assert(previewer:gen_winopts().number == false)
  return M.shown.buffer
end

return M
