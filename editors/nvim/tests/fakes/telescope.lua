-- Telescope as far as the session picker uses it, with the names and the orders of its
-- documentation (`:help telescope.pickers`, `telescope.previewers`, `telescope.actions`). It shows
-- nothing: a spec presses keys by `press`, and looks at `shown`.

local M = { shown = nil }

local function class(of)
  return setmetatable({}, { __index = of })
end

local select_default = {}
function select_default:replace(fn)
  self.replaced = fn
end

--- Put it where `require` finds it.
function M.install()
  package.loaded['telescope.actions'] = {
    select_default = class(select_default),
    close = function(prompt)
      assert(M.shown.prompt == prompt, 'the number of the prompt is wrong')
      M.shown.closed = true
    end,
  }
  package.loaded['telescope.actions.state'] = {
    get_selected_entry = function()
      assert(not M.shown.closed, 'asked for behind its end')
      return M.shown.entries[M.shown.selected]
    end,
  }
  package.loaded['telescope.config'] = {
    values = {
      generic_sorter = function()
        return {}
      end,
    },
  }
  package.loaded['telescope.finders'] = {
    new_table = function(opts)
      return vim.tbl_map(function(result)
        local entry = opts.entry_maker(result)
        assert(entry.value and type(entry.display) == 'string' and type(entry.ordinal) == 'string')
        return entry
      end, opts.results)
    end,
  }
  package.loaded['telescope.previewers'] = {
    new_buffer_previewer = function(opts)
      return opts
    end,
  }
  package.loaded['telescope.pickers'] = {
    new = function(_, spec)
      return {
        find = function()
          M.show(spec)
        end,
      }
    end,
  }
end

function M.uninstall()
  for name in pairs(package.loaded) do
    if name:find('^telescope%.') then
      package.loaded[name] = nil
    end
  end
end

function M.show(spec)
  M.shown = {
    prompt = 7,
    title = spec.prompt_title,
    entries = spec.finder,
    previewer = spec.previewer,
    keys = {},
    selected = 1,
  }
  local keeps = spec.attach_mappings(M.shown.prompt, function(modes, lhs, fn)
    for _, mode in ipairs(type(modes) == 'table' and modes or { modes }) do
      M.shown.keys[mode .. lhs] = fn
    end
  end)
  assert(keeps == true, 'attach_mappings has to say whether the other keys stay')
  M.shown.keys['i<CR>'] = package.loaded['telescope.actions'].select_default.replaced
end

function M.press(lhs)
  assert(M.shown.keys['i' .. lhs], 'no such key: ' .. lhs)(M.shown.prompt)
end

--- The buffer of a preview of the selected entry.
function M.preview()
  local buffer = vim.api.nvim_create_buf(false, true)
  local self = { state = { bufnr = buffer, winid = vim.api.nvim_get_current_win() } }
  M.shown.previewer.define_preview(self, M.shown.entries[M.shown.selected], {})
  return buffer
end

return M
