local Child = require('child')
local S = require('support')

local OLD = table.concat(vim.split('a b c d e f g h i j k l', ' '), '\n') .. '\n'
local PATCH = {
  '*** Update File: letters.txt',
  '@@',
  ' a',
  '-b',
  '+B',
  ' c',
  '@@',
  ' i',
  '-j',
  '+J',
  '+JJ',
  ' k',
}

--- A second Neovim with `letters.txt` open, and a patch of it that waits, on screen.
local function start(options)
  options = options or {}
  local world = S.world({ S.patch(unpack(options.patch or PATCH)), S.text('done') }, {
    files = vim.tbl_extend('force', { ['letters.txt'] = OLD }, options.files or {}),
    config = { approval_policy = 'untrusted', sandbox_mode = 'workspace-write' },
  })
  local child = Child.start({
    args = { 'letters.txt' },
    setup = options.setup,
    columns = options.columns,
    lines = options.lines,
  })
  child:lua([[
    _G.events = {}
    require('codex.session').configure(require('codex.server').get(), {}, function(err, session)
      assert(not err, vim.inspect(err))
      _G.session = session
      session:subscribe(function(msg)
        table.insert(_G.events, msg)
      end)
      session:send({ { type = 'text', text = 'go' } })
    end)
    _G.over = function()
      local last = _G.events[#_G.events] or {}
      return last.type == 'status' and last.status == 'idle' or last.type == 'task_complete'
        or last.type == 'turn_aborted'
    end
  ]])
  child:wait('_G.session and #_G.session.waiting == 1')
  child:command('CodexApprove')
  child.world = world
  return child
end

local function text(child, name)
  return table.concat(child:lines(name or 'letters.txt'), ' ')
end

local NEW = 'a B c d e f g h i J JJ k l'

describe('a patch that has to be approved', function()
  it('is a diff in a tab, the old text on the left, the proposed one on the right', function()
    local child = start()
    local screen = child:wait_for_text('proposed, can be edited')
    child:dump('approval-patch-100x30')
    T.has('letters.txt · hunk 1 of 2', screen)
    T.has('ga apply the right side', screen)
    T.eq(2, child:lua('return #vim.api.nvim_list_tabpages()'))
    T.eq(NEW, table.concat(child:lua('return vim.api.nvim_buf_get_lines(0, 0, -1, true)'), ' '))
    T.eq(
      { true, true, false },
      child:lua([[return vim.tbl_map(function(window)
      return vim.wo[window].diff
    end, vim.api.nvim_tabpage_list_wins(0))]])
    )
  end)

  it('is applied to the open buffer, and one undo takes it back', function()
    local child = start()
    child:type('ga')
    child:wait('_G.over()')
    T.eq(1, child:lua('return #vim.api.nvim_list_tabpages()'))
    T.eq(NEW, text(child))
    child:type('u')
    T.eq('a b c d e f g h i j k l', text(child))
    -- Nothing is left of the review.
    T.eq(
      1,
      child:lua([[return #vim.tbl_filter(vim.api.nvim_buf_is_loaded, vim.api.nvim_list_bufs())]])
    )
  end)

  it('is applied without the hunks that were left out', function()
    local child = start()
    child:type('do')
    local screen = child:screen()
    T.has('left out; dp takes it', screen)
    T.has('1 left out', screen)
    T.has('hunk 2 of 2', screen)
    child:dump('approval-patch-left-out-100x30')
    child:type('ga')
    child:wait('_G.over()')
    T.eq('a b c d e f g h i J JJ k l', text(child))
  end)

  it('takes a hunk back that was left out', function()
    local child = start()
    child:type('do[cdp')
    T.lacks('left out', child:screen():gsub('do leave it out', ''))
    child:type('[cdo')
    child:type('u')
    child:type('ga')
    child:wait('_G.over()')
    T.eq(NEW, text(child))
  end)

  it('leaves out from the left side too', function()
    local child = start()
    child:type('<C-w>h10Gdo')
    child:type('ga')
    child:wait('_G.over()')
    T.eq('a B c d e f g h i j k l', text(child))
  end)

  it('is applied as it was edited', function()
    local child = start()
    child:type('ggjcwedited<Esc>')
    T.has('· edited', child:screen())
    child:type('ga')
    child:wait('_G.over()')
    T.eq('a edited c d e f g h i J JJ k l', text(child))
    child:type('u')
    T.eq('a b c d e f g h i j k l', text(child))
  end)

  it('is not applied if it is rejected, or if every hunk is left out', function()
    local child = start()
    child:type('gd')
    child:wait('_G.over()')
    T.eq('a b c d e f g h i j k l', text(child))
    S.close()
    child = start()
    child:type('dodo')
    child:type('ga')
    child:wait('_G.over()')
    T.eq('a b c d e f g h i j k l', text(child))
    T.eq(
      true,
      child:lua([[return #vim.tbl_filter(function(msg)
      return msg.type == 'patch_apply_begin'
    end, _G.events) == 0]])
    )
  end)

  it('ends the turn if that is asked for', function()
    local child = start()
    child:type('gx')
    child:wait('_G.events[#_G.events].type == "turn_aborted"')
    T.eq(1, child:lua('return #vim.api.nvim_list_tabpages()'))
  end)

  it('keeps what was edited while it is put off', function()
    local child = start()
    child:type('do')
    child:type('q')
    T.eq(1, child:lua('return #vim.api.nvim_list_tabpages()'))
    child:command('CodexApprove')
    T.has('1 left out', child:screen())
    child:command('quit')
    child:wait('#vim.api.nvim_list_tabpages() == 1')
    child:command('CodexApprove')
    child:type('ga')
    child:wait('_G.over()')
    T.eq('a b c d e f g h i J JJ k l', text(child))
  end)

  it('is gone when the turn is over', function()
    local child = start()
    child:lua('_G.session:interrupt()')
    child:wait('_G.events[#_G.events].type == "turn_aborted"')
    T.eq(1, child:lua('return #vim.api.nvim_list_tabpages()'))
    T.eq(
      1,
      child:lua([[return #vim.tbl_filter(vim.api.nvim_buf_is_loaded, vim.api.nvim_list_bufs())]])
    )
  end)

  it('goes through several files, with those that are new and those that go', function()
    local patch = vim.list_extend(vim.list_slice(PATCH), {
      '*** Add File: new.txt',
      '+new',
      '*** Delete File: gone.txt',
    })
    local child = start({
      patch = patch,
      files = { ['gone.txt'] = 'gone\n' },
      columns = 80,
      lines = 24,
    })
    local screen = child:wait_for_text('file 1 of 3')
    T.has('gone.txt', screen)
    T.has('proposed: the file is removed', screen)
    child:dump('approval-patch-80x24')
    -- Keep it, and go on to the next file.
    child:type('do')
    child:wait_for_text('file 2 of 3')
    child:type(']c]c')
    T.has('new.txt · file 3 of 3 · hunk 1 of 1', child:screen())
    child:type('[f')
    T.has('letters.txt · file 2 of 3', child:screen())
    child:type('ga')
    child:wait('_G.over()')
    T.eq('gone\n', S.read(child.world.folder .. '/gone.txt'))
    T.eq('new\n', S.read(child.world.folder .. '/new.txt'))
    T.eq(NEW, text(child))
  end)

  it(
    'shows the announced diff of a file that is no text, and applies it with the others',
    function()
      local patch = vim.list_extend(vim.list_slice(PATCH), {
        '*** Update File: latin.txt',
        '@@',
        '-two',
        '+TWO',
      })
      local child = start({ patch = patch, files = { ['latin.txt'] = 'caf\233\ntwo\n' } })
      local screen = child:wait_for_text('no text')
      T.has('latin.txt · file 1 of 2', screen)
      T.has('+TWO', screen)
      child:type(']fdo')
      child:wait_for_text('1 left out')
      child:type('ga')
      child:wait('_G.over()')
      T.eq('caf\233\nTWO\n', S.read(child.world.folder .. '/latin.txt'))
      T.eq('a b c d e f g h i J JJ k l', text(child))
    end
  )

  it('is one diff in a floating window if patches are not reviewed', function()
    local child = start({ setup = { patch_review = false }, columns = 80, lines = 24 })
    local screen = child:wait_for_text('Apply this patch?')
    child:dump('approval-patch-float-80x24')
    T.has('+JJ', screen)
    T.lacks('for session', screen)
    T.eq(
      'diffAdded',
      child:lua([[return vim.fn.synIDattr(vim.fn.synID(vim.fn.search('^+JJ'), 2, 1), 'name')]])
    )
    child:type('a')
    child:wait('_G.over()')
    T.eq(NEW, text(child))
  end)
end)
