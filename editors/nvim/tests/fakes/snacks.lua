-- snacks.picker as far as the session picker uses it, with the names of its documentation
-- (`snacks.picker.Config`). It shows nothing.

local M = { shown = nil }

--- Put it where `require` finds it.
function M.install()
  package.loaded['snacks'] = {
    picker = {
      pick = function(opts)
        assert(opts.format == 'text')
        for _, item in ipairs(opts.items) do
          assert(type(item.text) == 'string')
        end
        M.shown = { opts = opts, selected = 1 }
      end,
    },
  }
end

function M.uninstall()
  package.loaded['snacks'] = nil
end

local picker = {}
function picker.close()
  M.shown.closed = true
end

function M.press(lhs)
  local opts = M.shown.opts
  local item = opts.items[M.shown.selected]
  if lhs == '<CR>' then
    opts.confirm(picker, item, { name = 'confirm' })
    return
  end
  local key = assert(opts.win.input.keys[lhs], 'no such key: ' .. lhs)
  assert(opts.actions[key[1]], 'no such action: ' .. key[1])(picker, item, { name = key[1] })
end

--- The buffer of a preview of the selected item.
function M.preview()
  local buffer = vim.api.nvim_create_buf(false, true)
  local item = M.shown.opts.items[M.shown.selected]
  local preview = { item = item }
  preview.win = {
    valid = function()
      return true
    end,
  }
  function preview.reset() end
  function preview.set_lines(_, lines)
    vim.api.nvim_buf_set_lines(buffer, 0, -1, false, lines)
  end
  function preview.highlight(_, opts)
    assert(opts.ft == 'markdown')
  end
  M.shown.opts.preview({ item = item, preview = preview, buf = buffer })
  return buffer
end

return M
